import Engine
import Handover
import IOMMUModel
import Restore
import Store
import Validate

/// The new kernel's half of a live update.
extension SimulatedMachine {
    /// The userspace of the devices that came over.
    struct Incoming: ~Copyable {
        var claimer: Claimer
        var isReplaced = false
    }

    /// Starts the next kernel from the newest seal in `directory` that counts: every preserved device is attached to its
    /// old domain, before anything else sees it, and its tables are held against the record. A device for which either
    /// fails is quarantined: blocked for good, off the bus.
    ///
    /// O(devices) until all are attached, then O(tables).
    ///
    /// - Returns: one line per preserved device and PASID, restored or quarantined; ascending.
    /// - Throws: `EBUSY` not jumped; ``Store/StoreError`` no seal there; ``Validate/RestoreRefusal`` a seal that must not be
    ///   restored; ``Engine/Refusal`` no frames. There is no kernel then.
    public func restore(from directory: String) throws -> [HandoverReport.Device] {
        guard phase == .jumped else { throw Errno.EBUSY }
        let location = try StoreLocation(directory)
        let checked = try ManifestChecked.check(path: location.resolve(), memory: MemoryNonce(hardware.nonce))
        let events = events
        // From the nonce: another one than of any kernel before it, and the same each time.
        var restored = try Restorer.restore(
            checked.snapshot, machine: hardware, configuration: .init(seed: checked.seal.nonce?.low ?? 0)
        ) { events.append($0) }
        _ = restored.audit(checked.snapshot)
        let devices = restored.devices.sorted {
            AttachmentKey($0.requester, $0.pasid) < AttachmentKey($1.requester, $1.pasid)
        }
        let attached = Set(devices.filter { $0.state == .restored }.map(\.requester))
        incoming = Incoming(
            claimer: Claimer(
                checked.snapshot, sessions: restored.sessions, attached: restored.domains, devices: attached))
        origin = (location.path, ParentGeneration(number: checked.header.number, root: checked.seal.root))
        live = consume restored.engine
        return devices
    }

    /// Userspace comes back for the restored devices: it claims them, adopts their domains, builds new tables with the same
    /// mappings, has both compared, and each device is switched to the new ones in one change of its lookup entry.
    ///
    /// - Parameter devices: called between these steps, and at every instant at which a lookup entry has changed and no
    ///   cache knows of it yet: whatever DMA a simulator's devices do there comes to the same. It must call nothing of
    ///   this machine but what devices do, and ``memory(at:byteCount:)``.
    /// - Returns: whose requests are on new tables, and which pass through as before.
    /// - Throws: `EBUSY` nothing to take up, or done already; `ENOMEM` no frames for tables; `EINVAL` with the rule and the
    ///   first device whose tables are not what userspace has built: it stays on the inherited ones, and the others are
    ///   switched.
    public func replace(meanwhile devices: () -> Void = {}) throws(Refusal) -> Claimer.Replaced {
        guard live != nil, incoming != nil, incoming?.isReplaced == false else { throw Refusal(.EBUSY) }
        let differing: [(key: AttachmentKey, what: String)]
        let result: Claimer.Replaced
        do throws(Errno) {
            (result, differing) = try takeUp(devices)
        } catch {
            throw Refusal(error)
        }
        incoming?.isReplaced = true
        devices()
        if let key = differing.first?.key {
            throw Refusal(.EINVAL, .compareDiffers, requester: key.requester, pasid: key.pasid)
        }
        if let (key, errno) = result.refused.first {
            throw Refusal(errno, requester: key.requester, pasid: key.pasid)
        }
        return result
    }

    private func takeUp(
        _ devices: () -> Void
    ) throws(Errno) -> (Claimer.Replaced, differing: [(key: AttachmentKey, what: String)]) {
        _ = try incoming!.claimer.claim(&live!)
        devices()
        _ = try incoming!.claimer.adopt(&live!)
        devices()
        _ = try incoming!.claimer.rebuild(&live!)
        devices()
        let differing = incoming!.claimer.compare(&live!).differing
        incoming!.claimer.announce(&live!)
        devices()
        let replaced = try withoutActuallyEscaping(devices) { (devices) throws(Errno) in
            hardware.onEntryChange(devices)
            defer { hardware.onEntryChange(nil) }
            return try incoming!.claimer.replace(&live!)
        }
        return (replaced, differing)
    }

    /// Ends the session: all or nothing. The nonce is wiped from memory, the devices are as any others.
    ///
    /// - Throws: `EBUSY` nothing came over, or the first device that is neither replaced nor released.
    public func finish() throws(Refusal) {
        guard live != nil, incoming != nil else { throw Refusal(.EBUSY) }
        try incoming!.claimer.finish(&live!)
        hardware.setNonce(nil)
        incoming = nil
    }
}
