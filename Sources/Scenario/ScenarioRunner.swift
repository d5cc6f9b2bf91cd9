import Engine
import Handover
import Hardware
import IOMMUModel
import PageTables
import Validate

/// Runs a scenario's steps on a live engine and holds every answer against what the file expects.
struct ScenarioRunner {
    /// The engine's ids of the file's objects: a scenario names its objects, the engine numbers its own.
    private var ioases: [IOASID: IOASID] = [:]
    private var hwpts: [HWPTID: HWPTID] = [:]
    private var files: [BackingID: BackingID] = [:]
    private var sessions: [SessionID: SessionID] = [:]

    private let isAfterJump: Bool

    init() { isAfterJump = false }

    /// For userspace after a jump: `sessions` came over.
    init(incoming sessions: [Session]) {
        isAfterJump = true
        for (index, session) in sessions.sorted(by: { $0.name < $1.name }).enumerated() {
            self.sessions[SessionID(UInt32(index + 1))] = session.id
        }
    }

    /// The token of VFIO's DMA ownership in scenarios.
    static let ownerToken: UInt64 = 0x7666_696f

    /// Adds the machine's memory files.
    ///
    /// - Throws: ``ScenarioError/inconsistent(place:what:)`` for one that the engine refuses.
    mutating func addFiles(_ machine: ScenarioMachine, to engine: inout LiveEngine) throws(ScenarioError) {
        for (index, file) in machine.memoryFiles.enumerated() {
            do throws(Errno) {
                files[file.id] = try engine.addBacking(
                    file.kind, base: file.base, byteCount: file.byteCount, sealed: file.sealed)
            } catch {
                throw .inconsistent(
                    place: "machine.memory_files[\(index)]",
                    what: "found base \(file.base), bytes \(hex(file.byteCount)) (\(error.name)); "
                        + "expected whole pages in RAM")
            }
        }
    }

    /// Runs one step of the engine, calling `after` with what became of it.
    ///
    /// - Throws: ``ScenarioError/step(number:operation:expected:found:)`` for an answer that is not the expected one.
    mutating func run(
        _ step: ScenarioStep, number: Int, on engine: inout LiveEngine, after: (HandoverReport.Step) throws -> Void
    ) throws {
        var found: Errno?
        var wrong: Wrong?
        let key = step.device
        let before = key.flatMap { engine.domainState($0.requester, pasid: $0.pasid) }
        do throws(Errno) { wrong = try perform(step.operation, on: &engine) } catch { found = error }
        try after(
            HandoverReport.Step(
                number: number, isAfterJump: isAfterJump, name: step.name, arguments: step.arguments, errno: found,
                device: key?.requester, pasid: key?.pasid, before: before?.rawValue,
                after: key.flatMap { engine.domainState($0.requester, pasid: $0.pasid) }?.rawValue))
        if let wrong {
            throw ScenarioError.step(
                number: number, operation: step.name, expected: wrong.expected, found: wrong.found)
        }
        guard found == step.expect else {
            throw ScenarioError.step(
                number: number, operation: step.name, expected: step.expect?.name ?? "success",
                found: found?.name ?? "success")
        }
    }

    /// A DMA that did not end where it must.
    private struct Wrong {
        var expected: String
        var found: String
    }

    private mutating func perform(
        _ operation: ScenarioStep.Operation, on engine: inout LiveEngine
    ) throws(Errno) -> Wrong? {
        switch operation {
        case .createIOAS(let id): ioases[id] = try engine.createIOAS()
        case .createHWPT(let id, let ioas, let unit, let bits, let format):
            hwpts[id] = try engine.createHWPT(ioas: try known(ioas), unit: unit, addressBits: bits, format: format)
        case .createNestedHWPT(let id, let parent, let unit, let root):
            hwpts[id] = try engine.createNestedHWPT(parent: try known(parent), unit: unit, root: root)
        case .claim(let requester):
            guard let group = engine.group(of: requester) else { throw .ENODEV }
            try engine.claimOwner(group.id, token: Self.ownerToken)
        case .attach(let requester, let pasid, let hwpt):
            try engine.attach(requester, pasid: pasid, to: try known(hwpt))
        case .attachIdentity(let requester): try engine.attachIdentity(requester)
        case .detach(let requester, let pasid): try engine.detach(requester, pasid: pasid)
        case .map(let ioas, let iova, let bytes, let file, let offset, let protection):
            guard let backing = files[file] else { throw .ENOENT }
            try engine.map(
                ioas: try known(ioas), iova: iova, byteCount: bytes, backing: backing, offset: offset,
                protection: protection)
        case .unmap(let ioas, let iova, let bytes):
            _ = try engine.unmap(ioas: try known(ioas), iova: iova, byteCount: bytes)
        case .mark(let hwpt, let token): try engine.mark(try known(hwpt), token: token)
        case .write(let file, let offset, let value):
            guard let backing = files[file].flatMap({ id in engine.backings.first { $0.id == id } }) else {
                throw .ENOENT
            }
            guard offset & 7 == 0, let address = backing.address(offset: offset, bytes: 8) else { throw .EINVAL }
            guard engine.machine.memory.setWord(value, at: address) else { throw .EFAULT }
        case .dma(let requester, let pasid, let iova, let access, let landing):
            // What the run itself has asked is nobody's fault.
            engine.machine.forgetFaults()
            let outcome = engine.machine.dma(requester, pasid: pasid, iova: iova, access: access)
            engine.recordFaults()
            switch (landing, outcome) {
            case (.address(let wanted), .address(let reached)) where wanted == reached: return nil
            case (.fault(let code), .fault(let reason)) where code == reason.code:
                return nil
            default: return Wrong(expected: "\(landing)", found: "\(outcome)")
            }
        // The writer's, not the engine's.
        case .preCopy: return nil
        case .claimOwner(let device, let token): try engine.claimOwner(try group(of: device, engine), token: token)
        case .releaseOwner(let device): try engine.releaseOwner(try group(of: device, engine))
        case .destroyHWPT(let id): try engine.destroyHWPT(try known(id))
        case .destroyIOAS(let id): try engine.destroyIOAS(try known(id))
        case .unmark(let id): try engine.unmark(try known(id))
        case .replace(let device, let pasid, let hwpt, let attachNew):
            try engine.replace(device, pasid: pasid, with: try known(hwpt), attachNew: attachNew)
        case .createSession(let id, let name): sessions[id] = try engine.createSession(name)
        case .closeSession(let id): try engine.closeSession(try known(id))
        case .preserve(let device, let session):
            let session = try known(session)
            do throws(Refusal) { try engine.preserve(device, in: session) } catch { throw error.errno }
        case .preserveFile(let file, let session):
            guard let backing = files[file] else { throw .ENOENT }
            try engine.preserveFile(backing, in: try known(session))
        case .unpreserve(let device): try engine.unpreserve(device)
        case .open(let device, let session): try engine.open(device, session: try session.map(known))
        case .close(let device): try engine.close(device)
        case .bindDriver(let device, let name): try engine.bindDriver(name, to: device)
        case .unbindDriver(let device): try engine.unbindDriver(device)
        case .reset(let device, let scope): try engine.reset(device, scope)
        case .power(let device, let on): try engine.setPower(on, of: device)
        case .interrupts(let device, let on): try engine.setInterrupts(on, of: device)
        case .dirtyTracking(let hwpt, let on): try engine.setDirtyTracking(on, of: try known(hwpt))
        case .retrieve(let device, let session): try engine.claim(device, session: try known(session))
        case .adopt(let id, let token, let session):
            hwpts[id] = try engine.adoptHWPT(token: token, session: try known(session))
        case .compare(let device, let pasid, let hwpt):
            try compare(AttachmentKey(device, pasid), try known(hwpt), &engine)
        case .keepIdentity(let device): try engine.keepIdentity(device)
        case .quarantine(let device):
            do throws(Refusal) { try engine.quarantine(device) } catch { throw error.errno }
        case .discard(let device): try engine.discard(device)
        case .release(let device): try engine.release(device)
        case .abandon(let id): try engine.abandon(try known(id))
        case .finish(let id):
            let session = try known(id)
            do throws(Refusal) { try engine.finish(session) } catch { throw error.errno }
        }
        return nil
    }

    /// Compares both trees in memory; a difference is EINVAL.
    private func compare(_ key: AttachmentKey, _ hwpt: HWPTID, _ engine: inout LiveEngine) throws(Errno) {
        func table(_ id: DomainID?) -> PageTable? {
            guard let domain = id.flatMap({ engine.domain($0) }) else { return nil }
            return domain.parent.map { engine.domain($0)?.table } ?? domain.table
        }
        if let old = table(engine.attachment(key.requester, pasid: key.pasid)?.domain),
            let new = table(engine.hwpt(hwpt)?.domain)
        {
            let verdict = TreeComparison.compare(
                old.configuration, root: old.root, new.configuration, root: new.root,
                memory: engine.machine.memory.view)
            guard case .equal = verdict else { throw .EINVAL }
        }
        try engine.verify(key.requester, pasid: key.pasid, with: hwpt)
    }

    private func group(of device: RequesterID, _ engine: borrowing LiveEngine) throws(Errno) -> GroupID {
        guard let group = engine.group(of: device) else { throw .ENODEV }
        return group.id
    }

    private func known(_ id: SessionID) throws(Errno) -> SessionID {
        guard let found = sessions[id] else { throw .ENOENT }
        return found
    }

    private func known(_ id: IOASID) throws(Errno) -> IOASID {
        guard let found = ioases[id] else { throw .ENOENT }
        return found
    }

    private func known(_ id: HWPTID) throws(Errno) -> HWPTID {
        guard let found = hwpts[id] else { throw .ENOENT }
        return found
    }

    /// The engine's id of the file's IOAS `id`.
    func engineID(_ id: IOASID) -> IOASID? { ioases[id] }
}
