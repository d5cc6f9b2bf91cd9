import Engine
import Hardware
import IOMMUModel

/// Runs a scenario's steps on a live engine and holds every answer against what the file expects.
struct ScenarioRunner {
    /// The engine's ids of the file's objects: a scenario names its objects, the engine numbers its own.
    private var ioases: [IOASID: IOASID] = [:]
    private var hwpts: [HWPTID: HWPTID] = [:]
    private var files: [BackingID: BackingID] = [:]

    /// The token of VFIO's DMA ownership in scenarios.
    static let ownerToken: UInt64 = 0x7666_696f

    /// Adds the machine's memory files.
    ///
    /// - Throws: ``ScenarioError/inconsistent(place:what:)`` for one that the engine refuses.
    mutating func addFiles(_ machine: ScenarioMachine, to engine: inout LiveEngine) throws(ScenarioError) {
        for (index, file) in machine.memoryFiles.enumerated() {
            do throws(Errno) {
                files[file.id] = try engine.addBacking(
                    .memfd, base: file.base, byteCount: file.byteCount, sealed: file.sealed)
            } catch {
                throw .inconsistent(
                    place: "machine.memory_files[\(index)]",
                    what: "found base \(file.base), bytes \(hex(file.byteCount)) (\(error.name)); "
                        + "expected whole pages in RAM")
            }
        }
    }

    /// Runs one step of the engine, calling `after` with its error number.
    ///
    /// - Throws: ``ScenarioError/step(number:operation:expected:found:)`` for an answer that is not the expected one.
    mutating func run(
        _ step: ScenarioStep, number: Int, on engine: inout LiveEngine, after: (Errno?) throws -> Void
    ) throws {
        var found: Errno?
        var wrong: Wrong?
        do throws(Errno) { wrong = try perform(step.operation, on: &engine) } catch { found = error }
        try after(found)
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
            let outcome = engine.machine.dma(requester, pasid: pasid, iova: iova, access: access)
            switch (landing, outcome) {
            case (.address(let wanted), .address(let reached)) where wanted == reached: return nil
            case (.fault(let code), .fault(let reason)) where code == reason.code:
                return nil
            default: return Wrong(expected: "\(landing)", found: "\(outcome)")
            }
        // The writer's, not the engine's.
        case .preCopy: return nil
        }
        return nil
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
