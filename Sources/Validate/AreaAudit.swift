import IOMMUModel
import PageTables
import Snapshot

/// The areas of one IOAS against one tree of page tables, in both directions, by one linear merge.
struct AreaAudit {
    private var merge: RunMerge<ExpectedRuns>
    private let target: TableTarget
    private let memory: MemoryView
    /// Ranges that the kernel maps 1:1 without an area.
    private let direct: [IOVARange]
    /// Findings listed; the rest is counted.
    private let limit: Int
    /// Where this IOAS's areas come from.
    let origin: AreaOrigin

    /// Areas that take part.
    let areaCount: Int
    private(set) var runCount = 0
    private(set) var mappedBytes: UInt64 = 0
    private(set) var findings: [Finding] = []
    /// Differences in all, also those not listed.
    private(set) var differenceCount = 0

    /// `nil` when the domain has no IOAS.
    init?(_ index: SnapshotIndex, target: TableTarget, memory: MemoryView, limit: Int) {
        guard let domain = target.domain, let space = index.addressSpaces[domain], let ioas = index.ioases[space] else {
            return nil
        }
        let areas = index.areas(of: ioas.id)
        merge = RunMerge(
            expected: ExpectedRuns(areas, backings: index.backings, format: target.configuration.format))
        direct = index.reservedRegions(of: domain).filter { $0.kind == .direct || $0.kind == .directRelaxable }
            .map(\.range)
        self.target = target
        self.memory = memory
        self.limit = limit
        origin = ioas.areaOrigin
        areaCount = areas.count
    }

    /// The next run of the tables, in ascending order.
    @inline(__always)
    mutating func found(_ run: TranslatedRun) {
        runCount &+= 1
        mappedBytes &+= run.range.lastOffset &+ 1
        if let rest = merge.meet(run.range, physical: run.pa, protection: run.protection) { differs(run, from: rest) }
    }

    /// Of a run that is not, from `rest` on, what is expected.
    private mutating func differs(_ run: TranslatedRun, from rest: IOVA) {
        var differences: [RunDifference] = []
        merge.found(run.range, physical: run.pa, protection: run.protection, from: rest) { differences.append($0) }
        for difference in differences { report(difference) }
    }

    /// The tables are at their end.
    mutating func finish() {
        var differences: [RunDifference] = []
        merge.finish { differences.append($0) }
        for difference in differences { report(difference) }
    }

    private mutating func report(_ difference: RunDifference) {
        switch difference {
        case .missing(let range, let run):
            let wanted = run.physical.rawValue &+ range.first.distance(from: run.range.first)
            add(
                .areaNotMapped, range,
                "area at \(range) (\(run.protection)) should map to \(PhysicalAddress(wanted)); nothing is mapped")
        case .address(let range, let expected, let found):
            add(.areaAddressDiffers, range, "\(range) maps to \(found), its backing is at \(expected)")
        case .protection(let range, let expected, let found):
            add(.areaProtectionDiffers, range, "\(range) is mapped \(found), the area says \(expected)")
        case .unexpected(let range, let physical, let protection):
            for part in Self.without(direct, range, physical) {
                let pa = PhysicalAddress(physical.rawValue &+ part.first.distance(from: range.first))
                add(.mappingWithoutArea, part, "\(part) maps to \(pa) (\(protection)); no area says so")
            }
        }
    }

    private mutating func add(_ rule: RuleID, _ range: IOVARange, _ message: String) {
        differenceCount += 1
        guard findings.count < limit else { return }
        findings.append(
            target.finding(
                rule, address: target.decidingEntry(range.first, memory: memory), iova: range.first, message))
    }

    /// `range`, which maps to `physical` on, without the parts that lie 1:1 in a direct region. `direct` is sorted.
    static func without(_ direct: [IOVARange], _ range: IOVARange, _ physical: PhysicalAddress) -> [IOVARange] {
        guard range.first.rawValue == physical.rawValue else { return [range] }
        var parts: [IOVARange] = []
        var from = range.first.rawValue
        for region in direct where region.overlaps(range) {
            if region.first.rawValue > from,
                let part = IOVARange(first: IOVA(from), last: IOVA(region.first.rawValue - 1))
            {
                parts.append(part)
            }
            if region.last >= range.last { return parts }
            from = max(from, region.last.rawValue + 1)
        }
        if let rest = IOVARange(first: IOVA(from), last: range.last) { parts.append(rest) }
        return parts
    }
}
