import Engine
import Handover
import IOMMUModel
import Store

/// The old kernel's half of a live update.
extension SimulatedMachine {
    /// Puts a device into the session that goes over the update, with all that its requests go through: until it is taken
    /// out again nothing of that can be changed.
    ///
    /// - Throws: `EBUSY` not running, preserved already, or inherited; `ENODEV` no such device; `EOPNOTSUPP` ATS, PRI, or a
    ///   group of several; `EINVAL` not attached. The rule says which.
    public func preserve(_ requester: RequesterID) throws(Refusal) {
        guard live != nil else { throw Refusal(.EBUSY, requester: requester) }
        let session: SessionID
        do throws(Errno) {
            session = try outgoingSession(of: &live!)
            try mark(requester, &live!)
        } catch {
            throw Refusal(error, requester: requester)
        }
        try live!.preserve(requester, in: session)
    }

    private func outgoingSession(of engine: inout LiveEngine) throws(Errno) -> SessionID {
        if let session = engine.sessions.first(where: { !$0.isIncoming }) { return session.id }
        // Another name than that of the session which the kernel came with, and which may not have ended.
        return try engine.createSession("update-\((origin?.generation.number ?? 0) + 1)")
    }

    /// Gives a token to every HWPT that the requests of a device go through, which the next kernel knows it by.
    private func mark(_ requester: RequesterID, _ engine: inout LiveEngine) throws(Errno) {
        for key in engine.attachmentKeys(of: requester) {
            guard let domain = engine.attachment(requester, pasid: key.pasid).flatMap({ engine.domain($0.domain) })
            else { continue }
            for id in [domain.id, domain.parent].compactMap(\.self) {
                guard let hwpt = engine.domain(id)?.hwpt.flatMap({ engine.hwpt($0) }), hwpt.token == nil,
                    hwpt.session == nil
                else { continue }
                try engine.mark(hwpt.id, token: UInt64(hwpt.id.rawValue))
            }
        }
    }

    /// Takes a device out of the session again.
    ///
    /// - Throws: `EBUSY` not running; `ENODEV` no such device; `ENOENT` not preserved.
    public func unpreserve(_ requester: RequesterID) throws(Errno) {
        try withEngine { (engine) throws(Errno) in try engine.unpreserve(requester) }
    }

    /// Begins the blackout: nothing can be changed any more. Devices that are not preserved are blocked, the others go on.
    /// It ends with ``thaw()`` or ``jump()``.
    ///
    /// - Throws: `EBUSY` not running, or the update before is not finished: its devices would be blocked; else what a
    ///   preserved device must not be. The kernel goes on then.
    public func freeze() throws(Refusal) {
        guard incoming == nil, let engine = live.take() else { throw Refusal(.EBUSY) }
        switch engine.freeze() {
        case .frozen(let cold): frozen = consume cold
        case .refused(let running, let refusal):
            live = consume running
            throw refusal
        }
    }

    /// Ends the blackout: the same kernel goes on, and what was sealed of it is revoked, first by the nonce that is wiped
    /// from memory, then in a further generation of the store.
    ///
    /// - Throws: `EBUSY` not frozen; ``Store/StoreError`` when the revocation could not be recorded: the kernel runs all
    ///   the same, and no restore finds its nonce.
    public func thaw() throws {
        guard let cold = frozen.take() else { throw Errno.EBUSY }
        live = cold.thaw()
        guard let (location, number) = sealing.take() else { return }
        hardware.setNonce(nil)
        live!.note(.revoke, "revoke", [.init("generation", number)])
        let writer = try location.create()
        try writer.append(events.events)
        try writer.release()
    }

    /// Records the frozen state in the next generation of the store at `directory`, which is made unless it is there, and
    /// puts the handover's nonce into memory. Durable when it returns. A directory belongs to one machine.
    ///
    /// With it goes the journal of all that the kernel was asked for since its start, DMA excepted: O(records + tables +
    /// operations).
    ///
    /// - Throws: `EBUSY` not frozen, or sealed already; ``Store/StoreError``. The machine stays frozen then, to be thawed.
    public func seal(into directory: String) throws -> SealReceipt {
        guard frozen != nil, sealing == nil else { throw Errno.EBUSY }
        _ = try StoreLocation.makeDirectory(directory)
        let location = try StoreLocation(directory)
        guard location.isDirectory else { throw StoreError.alreadyExists(path: directory) }
        let nonce = HandoverNonce(bytes: frozen!.drawNonce())!
        let parent = origin.flatMap { $0.directory == location.path ? $0.generation : nil }
        var writer = try location.create(parent: parent)
        sealing = (location, writer.number)
        let receipt = try writer.seal(frozen!.snapshot(), nonce: nonce, events: events.events)
        try writer.release()
        // Last: with it, everything that was to be made durable is.
        hardware.setNonce(nonce.bytes)
        return receipt
    }

    /// The old kernel ends. Memory, units and devices stay, and DMA goes on; what was not sealed is lost.
    ///
    /// - Throws: `EBUSY` not frozen.
    public func jump() throws(Errno) {
        guard let cold = frozen.take() else { throw .EBUSY }
        _ = cold.jump()
        _ = events.take()
        (sealing, origin) = (nil, nil)
    }
}
