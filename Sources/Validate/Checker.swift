import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Store

/// Every rule that a snapshot alone can break, every finding.
///
/// Never stops at the first; bounded in pages, runs and findings; the same input gives the same findings in the same order.
public struct Checker: Sendable {
    /// How much is read and listed.
    public struct Limits: Sendable, Hashable {
        /// Findings listed per rule; the rest is counted in one more.
        public var findingsPerRule: Int
        /// Work per tree of page tables.
        public var scan: ScanBudget
        /// Both as given; nothing is checked.
        public init(findingsPerRule: Int = 10_000, scan: ScanBudget = ScanBudget()) {
            self.findingsPerRule = findingsPerRule
            self.scan = scan
        }
    }

    /// How much is read and listed.
    public var limits: Limits

    /// Does no work.
    public init(limits: Limits = Limits()) { self.limits = limits }

    /// All findings about `snapshot`, sorted, with what is wrong with its file (`defects`) among them.
    public func check(_ snapshot: Snapshot, defects: [StoreDefect] = []) throws(MemoryError) -> [Finding] {
        var sorted = snapshot
        sorted.normalize()
        return check(try RecordedMachine(sorted), defects: defects)
    }

    /// As ``check(_:defects:)``, for a machine that is already at hand. Its snapshot must be normalised.
    public func check(_ machine: RecordedMachine, defects: [StoreDefect] = []) -> [Finding] {
        let index = SnapshotIndex(machine.snapshot)
        var log = FindingLog(limitPerRule: limits.findingsPerRule)
        log.add(contentsOf: defects.map(Finding.init))
        RecordRules.check(index, into: &log)
        AreaRules.check(index, into: &log)
        for page in machine.pages.conflicts {
            log.add(Finding(.recordMalformed, address: page, "page \(page) is recorded twice with different content"))
        }
        var tables = TableRules(index: index, recorded: machine.pages, limit: limits.findingsPerRule)
        for unit in machine.units {
            LookupRules(unit: unit, origin: machine.snapshot.origin, isMemory: { [tables] in tables.mayBeMemory($0) })
                .check(into: &log)
        }
        AttachmentRules(index: index, machine: machine).check(into: &log)
        cacheTags(index, &log)
        for target in TableTargets.all(index, machine, &log) {
            tables.check(target, budget: limits.scan, into: &log)
        }
        return log.sorted()
    }

    /// One cache key with two roots on a unit in the records, where the recorded entries have not shown it already. The
    /// key is tag and, where it is part of it, PASID; a nested domain's root is told apart by its parent too.
    private func cacheTags(_ index: SnapshotIndex, _ log: inout FindingLog) {
        struct Key: Hashable {
            var unit: UnitID
            var tag: UInt32
            var pasid: PASID?
        }
        struct Tables: Hashable {
            var root: PhysicalAddress
            var parent: DomainID?
        }
        var known: [Key: [(tables: Tables, domain: DomainID)]] = [:]
        for attachment in index.snapshot.attachments {
            guard let tag = attachment.cacheTag, let unit = index.devices[attachment.requester]?.unit,
                let root = index.geometry(of: attachment.domain, on: unit)?.tables?.root
            else { continue }
            let tables = Tables(root: root, parent: index.domains[attachment.domain]?.parent)
            let key = Key(unit: unit, tag: tag, pasid: attachment.cachePASID)
            let others = known[key, default: []]
            guard !others.contains(where: { $0.tables == tables }) else { continue }
            known[key, default: []].append((tables, attachment.domain))
            let (device, pasid) = (attachment.requester, attachment.pasid)
            guard let other = others.first,
                !log.contains(.cacheTagCollision, where: { $0.device == device && $0.pasid == pasid })
            else { continue }
            let with = attachment.cachePASID.map { " with PASID \($0)" } ?? ""
            log.add(
                Finding(
                    .cacheTagCollision, device: device, pasid: pasid,
                    record: .init(table: "attachment", key: "device=\(device) pasid=\(pasid.label)"),
                    "cache tag \(tag)\(with) stands for root \(root) of domain \(attachment.domain) here and for "
                        + "\(other.tables.root) of domain \(other.domain)"))
        }
    }
}
