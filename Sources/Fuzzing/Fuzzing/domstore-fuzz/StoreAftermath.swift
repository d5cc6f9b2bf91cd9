import Glibc
import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Store
import Validate

/// All that the command line reads of a store, and what must hold of it.
enum StoreAftermath {
    private static let scan = ScanBudget(pages: 60, runs: 1000, defects: 50)
    private static let queries = [
        "SELECT count(*), sum(count), max(first) FROM table_run", "SELECT count(*), sum(value) FROM table_word",
        "SELECT count(*) FROM lookup_run", "SELECT count(*) FROM lookup_word", "SELECT number(first) FROM area",
        "SELECT * FROM table_run WHERE domain = 5 AND address = '0x0000000000200000'",
    ]
    private static let limits = QueryLimits(seconds: 5, bytes: 256 << 20, rows: 2000)

    /// What is done with a store that was read.
    enum Part: CaseIterable {
        /// Read again: the same.
        case again
        /// Every view, and queries.
        case rows
        /// Written as another store, if nothing of it is wrong.
        case rewrite
        /// Checked, translated, audited.
        case machine
    }

    static func run(_ part: Part) {
        guard let location = try? StoreLocation(ScratchStore.folder) else { preconditionFailure("no folder") }
        // A refusal is a result like others.
        guard let reader = try? GenerationReader(path: ScratchStore.path) else {
            _ = try? location.generations()
            _ = try? location.resolve()
            return
        }
        let (snapshot, defects) = reader.snapshotAndDefects()
        switch part {
        case .rows:
            for relation in (try? reader.relations()) ?? [] where relation.kind == .view {
                _ = try? reader.rows(ofView: relation.name)
            }
            for query in queries { try? reader.query(query, limits: limits) { _ in true } }
        case .machine: if let snapshot { look(snapshot) }
        case .again, .rewrite:
            guard defects.isEmpty else { return }
            guard let snapshot, let events = try? reader.events() else {
                preconditionFailure("no defect, and not everything can be read")
            }
            precondition((try? reader.snapshot()) == snapshot, "read again, it is another state")
            if part == .rewrite { rewrite(snapshot, events) }
        }
    }

    /// What is without a defect can be written, or is told to be unrepresentable; written, it is the same.
    private static func rewrite(_ snapshot: Snapshot, _ events: [Event]) {
        defer { unlink(ScratchStore.copy) }
        unlink(ScratchStore.copy)
        guard (try? FreshGeneration.write(snapshot, to: ScratchStore.copy, events: events)) != nil else { return }
        guard let copy = try? GenerationReader(path: ScratchStore.copy) else { preconditionFailure("unreadable") }
        precondition((try? copy.snapshot()) == snapshot, "written again, it is another state")
        precondition((try? copy.events()) == events, "written again, it has other events")
    }

    private static func look(_ snapshot: Snapshot) {
        let lookups = LookupBudget(pageUses: 200, pasids: 300, devices: 300)
        guard let machine = try? RecordedMachine(snapshot, lookups: lookups) else { return }
        let all = ScanBudget(pages: 600, runs: 6000, defects: 600)
        _ = Checker(limits: .init(findingsPerRule: 20, scan: scan, allScans: all)).check(machine)
        for device in snapshot.devices.prefix(4) {
            var left = 1000
            machine.forEachMapping(device: device.requester, budget: scan) { _ in
                left -= 1
                return left > 0
            }
        }
        for attachment in snapshot.attachments.prefix(6) {
            for iova: UInt64 in [0, 0x20_1234, 0x7fff_ffff_f000, .max] {
                _ = machine.trace(
                    device: attachment.requester, pasid: attachment.pasid, iova: IOVA(iova), access: .write)
            }
        }
        let audit = Audit(snapshot, limit: 20, budget: scan)
        for domain in audit.domains.prefix(4) { _ = audit.run(domain, memory: machine.memory.view) }
    }
}
