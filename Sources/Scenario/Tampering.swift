import Engine
import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Store

/// Changes that no correct engine makes, between seal and restore. A changed file is written anew with all its checksums
/// right, so that a rule and not a checksum has to find it.
struct Tampering {
    private let names: ScenarioNames
    init(_ names: ScenarioNames) { self.names = names }

    func apply(
        _ changes: [ScenarioTamper], machine: Machine, path: String, receipt: SealReceipt
    ) throws {
        for (index, change) in changes.enumerated() {
            let place = "tamper[\(index)]"
            switch change.change {
            case .leaf(let requester, let pasid, let iova, let flip):
                guard let unit = machine.device(requester).flatMap({ machine.unit($0.unit) }),
                    case .translated(let translation, _) = unit.hardware.observe(
                        requester.rid, pasid: pasid, iova: iova, access: .read, memory: machine.memory.view)
                else { throw ScenarioError.inconsistent(place: place, what: "\(requester) does not translate \(iova)") }
                try flipWord(translation.entryAddress, flip, machine, place)
            case .lookupEntry(let requester, let pasid, let word, let flip):
                guard let unit = machine.device(requester).flatMap({ machine.unit($0.unit) }),
                    case .context(let context) = unit.hardware.resolve(
                        requester.rid, pasid: pasid, memory: machine.memory.view),
                    let address = context.entryAddress.offset(by: UInt64(word) * 8)
                else { throw ScenarioError.inconsistent(place: place, what: "\(requester) has no lookup entry") }
                try flipWord(address, flip, machine, place)
            case .area(let name, let iova, let offset):
                try edit(path, receipt) { snapshot in
                    guard let ioas = names.ioas(name),
                        let area = snapshot.areas.firstIndex(where: { $0.ioas == ioas && $0.range.contains(iova) })
                    else { throw ScenarioError.inconsistent(place: place, what: "no area at \(iova) in IOAS \(name)") }
                    snapshot.areas[area].offset = offset
                }
            case .attachment(let requester, let other):
                try edit(path, receipt) { snapshot in
                    guard let own = snapshot.attachments.firstIndex(where: { $0.requester == requester }),
                        let wanted = snapshot.attachments.first(where: { $0.requester == other }),
                        wanted.domain != snapshot.attachments[own].domain
                    else {
                        throw ScenarioError.inconsistent(
                            place: place, what: "\(requester) and \(other) are not attached to two domains")
                    }
                    snapshot.attachments[own].domain = wanted.domain
                    snapshot.attachments[own].cacheTag = wanted.cacheTag
                    snapshot.attachments[own].cachePASID = wanted.cachePASID
                }
            }
        }
    }

    private func flipWord(
        _ address: PhysicalAddress, _ flip: UInt64, _ machine: Machine, _ place: String
    ) throws(ScenarioError) {
        guard let word = machine.memory.word(at: address), machine.memory.setWord(word ^ flip, at: address) else {
            throw .inconsistent(place: place, what: "\(address) is not in memory")
        }
    }

    /// Writes the sealed file anew with the edited snapshot: number, nonce, parent and events stay.
    private func edit(_ path: String, _ receipt: SealReceipt, _ change: (inout Snapshot) throws -> Void) throws {
        let reader = try GenerationReader(path: path)
        var snapshot = try reader.snapshot()
        try change(&snapshot)
        _ = try FreshGeneration.write(
            snapshot, number: receipt.generation, to: path, events: try reader.events(), nonce: receipt.nonce,
            parent: reader.header.parent, replacing: true)
    }
}
