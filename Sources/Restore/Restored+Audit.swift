import Engine
import Handover
import IOMMUModel
import PageTables
import Snapshot
import Validate

extension Restorer.Restored {
    /// What an audit came to.
    public struct Audited: Sendable {
        /// Table pages read, over all domains.
        public var tablePages = 0
        /// Recorded areas held against them.
        public var areas = 0
        /// Findings of severity `error`.
        public var findings = 0
        /// One line per device and PASID that came off the restore and is quarantined now.
        public var quarantined: [HandoverReport.Device] = []
        /// What could not be done, in words.
        public var notes: [String] = []
    }

    /// Holds the tables of every attached domain, in memory as they are now, against `recorded`, and quarantines the devices
    /// whose tables are not the recorded ones, each with all its PASIDs; ``devices`` says so then.
    ///
    /// Of a guest's requests the host's tables are audited; the guest's own are the guest's. O(tables), beside the running
    /// devices, on several cores where they are many. `progress` is told how many of how many domains are done, 0 first,
    /// one call at a time, on any thread.
    public mutating func audit(
        _ recorded: Snapshot, progress: (_ done: Int, _ count: Int) -> Void = { _, _ in }
    ) -> Audited {
        let audit = Audit(recorded, unrecordedTables: unrecordedTables.map(\.first))
        let memory = engine.machine.memory
        var result = Audited()
        var attached = Set(devices.filter { $0.state == .restored }.map(\.requester))
        let paging = Set(recorded.domains.lazy.filter { $0.kind == .paging }.map(\.id))
        let users = domains.filter { $0.value.isRecordedTree && paging.contains($0.value.tables.recorded) }
        let audited = Set(users.values.map(\.tables.recorded)).sorted()
        var broken: [DomainID: Finding] = [:]
        progress(0, audited.count)
        for report in audit.run(audited, memory: memory.view, progress: { progress($0, audited.count) }) {
            result.tablePages += report.tablePages
            result.areas += report.areas
            result.findings += report.findings.count { $0.severity == .error }
            broken[report.domain] = report.findings.first { $0.severity == .error }
        }
        guard !broken.isEmpty else { return result }
        for (key, domain) in users.sorted(by: { $0.key < $1.key }) {
            guard let finding = broken[domain.tables.recorded], attached.remove(key.requester) != nil else { continue }
            do throws(Refusal) {
                try engine.quarantine(key.requester, distrusting: true)
            } catch {
                result.notes.append("\(key.requester) could not be blocked: \(error)")
            }
            // One domain that cannot be trusted, and the whole device is not.
            for other in domains.keys.sorted() where other.requester == key.requester {
                result.quarantined.append(
                    .init(
                        requester: other.requester, pasid: other.pasid, state: .quarantined, errno: .EINVAL,
                        rule: finding.rule, reason: "audit: \(finding.message)"))
            }
        }
        for line in result.quarantined {
            guard let index = devices.firstIndex(where: { $0.requester == line.requester && $0.pasid == line.pasid })
            else { continue }
            devices[index] = line
        }
        return result
    }
}
