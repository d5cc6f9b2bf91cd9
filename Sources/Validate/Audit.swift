import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Synchronization

/// The record against live memory, domain by domain: recorded table pages against their words, recorded areas against
/// the tables that are in memory now (lifecycle.md, audit).
///
/// Made once per snapshot; ``run(_:memory:)`` is O(tables) of its domain, touches no shared state and may run for
/// several domains at once.
public struct Audit: Sendable {
    private let index: SnapshotIndex
    /// Units by id, without lookup structures: for registers only.
    private let units: [UnitID: RecordedUnit]
    private let tablePages: [DomainID: PageSet]
    /// Every table and lookup page, recorded or not: no mapping may let a device reach one.
    private let frames: TableFrames
    /// Of domains whose recorded tables are in part another one's: a page of both, and that one.
    private let shared: [DomainID: (page: PhysicalAddress, other: DomainID)]
    /// Differences and findings listed per domain; the rest is counted.
    public var limit: Int
    /// Work per tree in memory.
    public var budget: ScanBudget

    /// Indexes a normalised copy of `snapshot`. O(n log n). A `limit` below 1 counts as 1.
    ///
    /// - Parameter unrecordedTables: table pages that are in no row of it, 4 KiB aligned: no mapping may reach them either.
    public init(
        _ snapshot: Snapshot, limit: Int = 1000, budget: ScanBudget = ScanBudget(),
        unrecordedTables: [PhysicalAddress] = []
    ) {
        var sorted = snapshot
        sorted.normalize()
        index = SnapshotIndex(sorted)
        let nothing = PhysicalMemory()
        units = Dictionary(
            sorted.units.map { ($0.id, RecordedUnit($0, memory: nothing.view)) },
            uniquingKeysWith: { first, _ in first })
        tablePages = Dictionary(
            sorted.tablePages.map { ($0.domain, $0.pages) }, uniquingKeysWith: { first, _ in first })
        let owned = Self.owned(sorted)
        let recorded = owned.map(\.page)
        frames = TableFrames(unrecordedTables.isEmpty ? recorded : (recorded + unrecordedTables).sorted())
        shared = Self.shared(owned)
        self.limit = max(1, limit)
        self.budget = budget
    }

    /// Every recorded page with the domain whose tables it is in, `nil` for a lookup page; ascending by page. O(n log n).
    private static func owned(_ snapshot: Snapshot) -> [(page: PhysicalAddress, domain: DomainID?)] {
        var owned: [(page: PhysicalAddress, domain: DomainID?)] = []
        for domain in snapshot.tablePages { owned += domain.pages.entries.map { ($0.address, domain.domain) } }
        for unit in snapshot.lookupPages { owned += unit.pages.entries.map { ($0.address, nil) } }
        owned.sort { $0.page < $1.page }
        return owned
    }

    /// Tables are one domain's: who may write a page of two could lead the devices of the other anywhere. O(n).
    private static func shared(
        _ owned: [(page: PhysicalAddress, domain: DomainID?)]
    ) -> [DomainID: (page: PhysicalAddress, other: DomainID)] {
        var result: [DomainID: (page: PhysicalAddress, other: DomainID)] = [:]
        for (one, next) in zip(owned, owned.dropFirst()) where one.page == next.page {
            guard let a = one.domain, let b = next.domain, a != b else { continue }
            result[a] = result[a] ?? (one.page, b)
            result[b] = result[b] ?? (one.page, a)
        }
        return result
    }

    /// The paging domains that the generation carries, ascending: what there is to audit.
    public var domains: [DomainID] {
        index.snapshot.domains.filter { $0.kind == .paging && tablePages[$0.id] != nil }.map(\.id)
    }

    /// Audits several domains as ``run(_:memory:)`` does one, at once where that is worth it; the reports in their order.
    ///
    /// - Parameters:
    ///   - threads: at most so many; `nil`: one a core, and one alone where the tables are few.
    ///   - progress: told how many of the domains are done, after each, one call at a time, on any thread.
    public func run(
        _ domains: [DomainID], memory: MemoryView, threads: Int? = nil, progress: (Int) -> Void = { _ in }
    ) -> [AuditReport] {
        let pages = domains.reduce(0) { $0 + (tablePages[$1]?.count ?? 0) }
        let isLarge = pages >= TreeWork.concurrencyThreshold
        let done = Mutex(0)
        return TreeWork.each(
            domains.count, threads: threads ?? (isLarge ? TreeWork.threads(for: domains.count) : 1)
        ) { number in
            let report = run(domains[number], memory: memory)
            done.withLock { done in
                done += 1
                progress(done)
            }
            return report
        }
    }

    /// Audits one domain against `memory`, which must live as long as the call, and which nobody else writes but the
    /// hardware its accessed and dirty bits.
    public func run(_ domain: DomainID, memory: MemoryView) -> AuditReport {
        let records = (index.domainUnits[domain] ?? []).filter { $0.tables != nil }
        var targets: [TableTarget] = []
        var mask: UInt64 = 0
        let user = index.user(of: domain)
        for record in records {
            guard let tables = record.tables, let unit = units[record.unit] else { continue }
            // Whatever the record says: of other bits none is the hardware's.
            mask |= tables.hardwareUpdatedMask & tables.format.hardwareBits
            guard let configuration = unit.configuration(tables) else { continue }
            let root = tables.root.pageBase
            guard !targets.contains(where: { $0.root == root && $0.configuration == configuration }) else { continue }
            targets.append(
                TableTarget(
                    domain: domain, unit: record.unit, configuration: configuration, root: root,
                    pointerAddress: user?.entryAddress, device: user?.requester, pasid: user?.pasid))
        }
        var report = AuditReport(domain: domain, witness: .none)
        if let (page, other) = shared[domain] {
            report.findings.append(
                Finding(
                    .tableReused, device: user?.requester, pasid: user?.pasid, address: page,
                    "table page \(page) is one of domain \(other), too"))
        }
        var reading = TableReading(tablePages[domain] ?? PageSet())
        let trees = targets.map { reading.scan($0, memory: memory, ignoring: mask, budget: budget) }
        pages(domain, targets, memory, mask, reading, &report)
        for (target, tree) in zip(targets, trees) { areas(target, tree, memory, &report) }
        return report
    }

    /// Recorded table pages against memory.
    private func pages(
        _ domain: DomainID, _ targets: [TableTarget], _ memory: MemoryView, _ mask: UInt64,
        _ reading: TableReading, _ report: inout AuditReport
    ) {
        guard let recorded = tablePages[domain] else {
            if let target = targets.first {
                report.findings.append(
                    target.finding(.tablePageUnknown, severity: .error, "no table page of domain \(domain) is recorded")
                )
            }
            return
        }
        let audit = TableAudit(
            recorded, memory: memory, ignoring: mask, limit: limit, except: { reading.isAsRecorded[$0] }
        ) {
            targets.first.flatMap { places(recorded, $0) }
        }
        report.tablePages = audit.pages
        report.tableDifferenceCount = audit.differenceCount
        report.tableDifferences = audit.differences
        let user = index.user(of: domain)
        for difference in audit.differences.sorted(by: Self.byIOVA) {
            report.findings.append(
                Finding(
                    .tableMemoryDiffers, device: user?.requester, pasid: user?.pasid, address: difference.entryAddress,
                    iova: difference.range?.first, difference.description))
        }
    }

    /// By first IOVA, of one the table nearest to the leaves first; those that no IOVA reaches last.
    private static func byIOVA(_ a: TableDifference, _ b: TableDifference) -> Bool {
        guard let first = a.range?.first, let second = b.range?.first else {
            return a.range != nil || (b.range == nil && a.entryAddress < b.entryAddress)
        }
        return (first, a.level, a.entryAddress) < (second, b.level, b.entryAddress)
    }

    /// Where the recorded pages stand in their tree: asked for only when one differs.
    private func places(_ pages: PageSet, _ target: TableTarget) -> TablePlaces? {
        var only = Snapshot(origin: index.snapshot.origin)
        only.tablePages = [DomainPages(domain: target.domain ?? DomainID(0), pages: pages)]
        guard let recorded = try? RecordedMemory(only) else { return nil }
        return withExtendedLifetime(recorded) {
            TablePlaces(configuration: target.configuration, root: target.root, memory: recorded.memory.view)
        }
    }

    /// Recorded areas against the tables in memory, both directions.
    private func areas(
        _ target: TableTarget, _ reading: TableReading.Tree, _ memory: MemoryView, _ report: inout AuditReport
    ) {
        guard var audit = AreaAudit(index, target: target, memory: memory, limit: limit) else { return }
        if audit.origin == .declared { report.witness = .independent }
        let tree = reading.tree
        for defect in tree.defects {
            guard case .absentPage(let page) = defect.kind, report.findings.count < limit else { continue }
            report.findings.append(
                target.finding(
                    .tablePageUnknown, severity: .error, address: defect.entryAddress, iova: defect.range.first,
                    "table page \(page) is not in memory; \(defect.range) is unknown"))
        }
        for page in reading.unrecorded where report.findings.count < limit {
            report.findings.append(
                target.finding(
                    .tablePageUnknown, severity: .error, address: page.page,
                    "table page \(page.page) (level \(page.level)) is not recorded"))
        }
        let end = tree.forEachRun { run in
            audit.found(run)
            if let page = frames.lowest(run.pa.rawValue, run.pa.rawValue &+ run.range.lastOffset),
                report.findings.count < limit
            {
                report.findings.append(reached(page, by: run, target, memory))
            }
            return true
        }
        if !tree.isComplete || end != .complete {
            report.findings.append(
                target.finding(.tableBudgetExceeded, "the tables in memory are too large to be read to their end"))
        }
        audit.finish()
        report.areas += audit.areaCount
        report.runs += audit.runCount
        report.mappedBytes &+= audit.mappedBytes
        report.areaDifferenceCount += audit.differenceCount
        report.findings += audit.findings
    }

    /// That `run` lets its device reach a table or lookup page.
    private func reached(
        _ page: PhysicalAddress, by run: TranslatedRun, _ target: TableTarget, _ memory: MemoryView
    ) -> Finding {
        let iova = IOVA(run.range.first.rawValue &+ (max(page.rawValue, run.pa.rawValue) &- run.pa.rawValue))
        let access: Access = run.protection.contains(.read) ? .read : .write
        let walk = Walker.trace(target.configuration, root: target.root, memory: memory, iova: iova, access: access)
        return target.finding(
            .tableLeafIntoTable, address: walk.steps.last?.entryAddress, iova: iova,
            "\(iova) maps (\(run.protection)) \(page), a table page")
    }
}
