import Engine
import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Store

/// Changes that no correct engine makes, before anything is recorded or between seal and restore. A changed file is written anew with all its checksums
/// right, so that a rule and not a checksum has to find it.
struct Tampering {
    private let names: ScenarioNames
    init(_ names: ScenarioNames) { self.names = names }

    /// Changes memory only: `changes` of the sealed file are skipped.
    func apply(_ changes: [ScenarioTamper], machine: Machine, called list: String) throws {
        for (index, change) in changes.enumerated() where change.isOfMemory {
            try apply(change.change, machine, "\(list)[\(index)]")
        }
    }

    /// Changes memory, and the sealed file at `path`.
    func apply(
        _ changes: [ScenarioTamper], machine: Machine, called list: String, path: String, _ receipt: SealReceipt
    ) throws {
        try apply(changes, machine: machine, called: list)
        let edits = changes.enumerated().filter { !$0.element.isOfMemory }
        guard !edits.isEmpty else { return }
        let reader = try GenerationReader(path: path)
        var snapshot = try reader.snapshot()
        var features: [Feature] = []
        for (index, change) in edits {
            try edit(&snapshot, &features, change.change, machine, "\(list)[\(index)]")
        }
        _ = try FreshGeneration.write(
            snapshot, number: receipt.generation, to: path, events: try reader.events(), nonce: receipt.nonce,
            parent: reader.header.parent, features: features, replacing: true)
    }

    private func apply(_ change: ScenarioTamper.Change, _ machine: Machine, _ place: String) throws(ScenarioError) {
        switch change {
        case .leaf(let requester, let pasid, let iova, let level, let flip):
            let steps = try way(requester, pasid, iova, machine, place)
            guard level < steps.count else {
                throw .inconsistent(place: place, what: "no level \(level) above the leaf")
            }
            try flipWord(steps[steps.count - 1 - level], flip, machine, place)
        case .tablePage(let requester, let pasid, let iova):
            let leaf = try way(requester, pasid, iova, machine, place).last!
            for word in 0..<512 {
                try flipWord(
                    PhysicalAddress(leaf.pageBase.rawValue + UInt64(word) * 8), 0x5a5a_5a5a_5a5a_5a5a, machine, place)
            }
        case .lookupEntry(let requester, let pasid, let word, let flip):
            guard let unit = machine.device(requester).flatMap({ machine.unit($0.unit) }),
                case .context(let context) = unit.hardware.resolve(
                    requester.rid, pasid: pasid, memory: machine.memory.view),
                let address = context.entryAddress.offset(by: UInt64(word) * 8)
            else { throw .inconsistent(place: place, what: "\(requester) has no lookup entry") }
            try flipWord(address, flip, machine, place)
        default: preconditionFailure("no change of memory")
        }
    }

    /// Where the entries stand that a walk of the host's tables reads, from the root to the leaf.
    private func way(
        _ requester: RequesterID, _ pasid: PASID?, _ iova: IOVA, _ machine: Machine, _ place: String
    ) throws(ScenarioError) -> [PhysicalAddress] {
        let memory = machine.memory.view
        guard let unit = machine.device(requester).flatMap({ machine.unit($0.unit) }),
            case .context(let context) = unit.hardware.resolve(requester.rid, pasid: pasid, memory: memory),
            let stage = context.path.host
        else { throw .inconsistent(place: place, what: "\(requester) has no tables") }
        let trace = Walker.trace(
            stage.configuration, root: stage.root, memory: memory, iova: iova, access: .read)
        guard let last = trace.steps.last, last.word != 0 else {
            throw .inconsistent(place: place, what: "\(requester) does not translate \(iova)")
        }
        return trace.steps.map(\.entryAddress)
    }

    private func edit(
        _ snapshot: inout Snapshot, _ features: inout [Feature], _ change: ScenarioTamper.Change, _ machine: Machine,
        _ place: String
    ) throws(ScenarioError) {
        func area(_ name: IOASID, _ iova: IOVA) throws(ScenarioError) -> Int {
            guard let ioas = names.ioas(name),
                let area = snapshot.areas.firstIndex(where: { $0.ioas == ioas && $0.range.contains(iova) })
            else { throw .inconsistent(place: place, what: "no area at \(iova) in IOAS \(name)") }
            return area
        }
        func attachment(_ requester: RequesterID, _ pasid: PASID? = nil) throws(ScenarioError) -> Int {
            guard let own = snapshot.attachments.firstIndex(where: { $0.requester == requester && $0.pasid == pasid })
            else { throw .inconsistent(place: place, what: "\(requester) is not attached") }
            return own
        }
        switch change {
        case .area(let name, let iova, let offset): snapshot.areas[try area(name, iova)].offset = offset
        case .areaGone(let name, let iova): snapshot.areas.remove(at: try area(name, iova))
        case .attachment(let requester, let other):
            let (own, wanted) = (try attachment(requester), snapshot.attachments[try attachment(other)])
            guard wanted.domain != snapshot.attachments[own].domain else {
                throw .inconsistent(place: place, what: "\(requester) and \(other) are not attached to two domains")
            }
            snapshot.attachments[own].domain = wanted.domain
            snapshot.attachments[own].cacheTag = wanted.cacheTag
            snapshot.attachments[own].cachePASID = wanted.cachePASID
        case .cacheTag(let requester, let other):
            let tag = snapshot.attachments[try attachment(other)].cacheTag
            snapshot.attachments[try attachment(requester)].cacheTag = tag
        case .attachmentGone(let requester, let pasid):
            snapshot.attachments.remove(at: try attachment(requester, pasid))
        case .recordedPage(let requester, let pasid, let iova):
            let page = try way(requester, pasid, iova, machine, place).last!.pageBase
            for index in snapshot.tablePages.indices { snapshot.tablePages[index].pages.remove(page) }
        case .feature(let name): features.append(Feature(bit: 62, name: name, isRequired: true))
        case .leaf, .tablePage, .lookupEntry: preconditionFailure("a change of memory")
        }
    }

    private func flipWord(
        _ address: PhysicalAddress, _ flip: UInt64, _ machine: Machine, _ place: String
    ) throws(ScenarioError) {
        guard let word = machine.memory.word(at: address), machine.memory.setWord(word ^ flip, at: address) else {
            throw .inconsistent(place: place, what: "\(address) is not in memory")
        }
    }
}
