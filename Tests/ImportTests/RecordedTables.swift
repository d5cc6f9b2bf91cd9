import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// One maximal run of one requester, for comparison.
struct DeviceRun: Hashable, Comparable, CustomStringConvertible {
    var requester: RequesterID
    var range: IOVARange
    var pa: UInt64
    var protection: Protection

    static func < (a: Self, b: Self) -> Bool { (a.requester, a.range) < (b.requester, b.range) }
    var description: String { "\(requester) \(range) → \(hex(pa)) \(protection)" }

    /// `runs` sorted, neighbours joined where both addresses and the protection continue.
    static func merged(_ runs: [DeviceRun]) -> [DeviceRun] {
        var result: [DeviceRun] = []
        for run in runs.sorted() {
            if let last = result.last, last.requester == run.requester, last.protection == run.protection,
                last.range.last.rawValue &+ 1 == run.range.first.rawValue,
                last.pa &+ last.range.lastOffset &+ 1 == run.pa,
                let joined = IOVARange(first: last.range.first, last: run.range.last)
            {
                result[result.count - 1].range = joined
            } else {
                result.append(run)
            }
        }
        return result
    }

    /// What of `runs` lies outside `range` of `requester`.
    static func outside(_ range: IOVARange, of requester: RequesterID, _ runs: [DeviceRun]) -> [DeviceRun] {
        runs.flatMap { run -> [DeviceRun] in
            guard run.requester == requester, run.range.overlaps(range) else { return [run] }
            var parts: [DeviceRun] = []
            if run.range.first < range.first {
                parts.append(run)
                parts[0].range = IOVARange(first: run.range.first, last: IOVA(range.first.rawValue - 1))!
            }
            if range.last < run.range.last {
                var upper = run
                upper.range = IOVARange(first: IOVA(range.last.rawValue + 1), last: run.range.last)!
                upper.pa += upper.range.first.rawValue - run.range.first.rawValue
                parts.append(upper)
            }
            return parts
        }
    }
}

/// Memory made of the pages that a snapshot recorded, and of nothing else.
struct RecordedTables {
    var memory = PhysicalMemory()

    init(_ snapshot: Snapshot) throws {
        var seen = Set<PhysicalAddress>()
        for pages in snapshot.lookupPages.map(\.pages) + snapshot.tablePages.map(\.pages) {
            for (index, entry) in pages.entries.enumerated() where seen.insert(entry.address).inserted {
                let region = try MappedRegion.anonymous(bytes: 4096)
                pages.decode(index, into: region.base.assumingMemoryBound(to: UInt64.self))
                try memory.add(at: entry.address, byteCount: 4096, region: region)
            }
        }
    }

    /// What the hardware would translate, read from the recorded pages: the runs of every attachment, from its context
    /// entry on.
    func runs(_ snapshot: Snapshot) throws -> [DeviceRun] {
        var result: [DeviceRun] = []
        for attachment in snapshot.attachments {
            guard let device = snapshot.devices.first(where: { $0.requester == attachment.requester }),
                let unit = snapshot.units.first(where: { $0.id == device.unit })
            else { continue }
            let registers = try VTDRegisters(hostAddressWidth: Int(unit.hostAddressWidth)) { unit[register: $0] }
            guard
                case .context(let context) = VTDUnitHardware(registers: registers).resolve(
                    attachment.requester.rid, pasid: attachment.pasid, memory: memory.view),
                case .single(let stage) = context.path
            else { continue }
            let tree = Walker.scan(stage, memory: memory.view, budget: ScanBudget(runs: 1 << 20))
            tree.forEachRun { run in
                result.append(
                    DeviceRun(
                        requester: attachment.requester, range: run.range, pa: run.pa.rawValue,
                        protection: run.protection))
                return true
            }
        }
        return result.sorted()
    }
}
