import IOMMUModel
import Snapshot
import Store

/// What a sealed generation has lost, where the rest can still be trusted: rows of table pages, of areas, and of events,
/// whose values are damaged. Whatever depends on one of them must not be restored.
public struct RecordLosses: Sendable, Hashable {
    /// By domain: the first damaged row of its tables, or of the areas of its address space.
    public private(set) var domains: [DomainID: StoreDefect] = [:]
    /// All damaged rows.
    public private(set) var rows: [StoreDefect] = []

    /// Nothing.
    public init() {}

    /// Of a state that was read; `nil` when more is damaged than that: rows of other tables (of a device whose row is
    /// damaged, not even its address is known), rows that are lost or were added, the manifest, the seal.
    public init?(_ state: GenerationReader.CheckedState) {
        guard state.hasEveryRow, let snapshot = state.snapshot else { return nil }
        // Those of each address space are told once.
        var spaces = Dictionary(grouping: snapshot.hwpts, by: \.ioas)
        for defect in state.defects {
            switch (defect.rule, defect.table, defect.row) {
            case (.recordChecksum, "table_chunk", let row?):
                guard let owner = row.owner.map({ DomainID($0) }) else { return nil }
                domains[owner] = domains[owner] ?? defect
            case (.recordChecksum, "area_chunk", let row?):
                guard let owner = row.owner.map({ IOASID($0) }) else { return nil }
                for hwpt in spaces.removeValue(forKey: owner) ?? [] {
                    domains[hwpt.domain] = domains[hwpt.domain] ?? defect
                }
            case (.recordChecksum, "event", _?): break
            // What follows from them.
            case (.manifestDiffers, "table_chunk", nil), (.manifestDiffers, "area_chunk", nil),
                (.manifestDiffers, "event", nil), (.rootDigestDiffers, _, nil):
                continue
            default: return nil
            }
            rows.append(defect)
        }
    }

    /// The devices of `snapshot` that use a domain of ``domains``, through a nested one too, each with what is damaged.
    public func requesters(_ snapshot: Snapshot) -> [RequesterID: StoreDefect] {
        if domains.isEmpty { return [:] }
        let parents = Dictionary(snapshot.domains.map { ($0.id, $0.parent) }) { first, _ in first }
        var result: [RequesterID: StoreDefect] = [:]
        for attachment in snapshot.attachments where result[attachment.requester] == nil {
            let parent = parents[attachment.domain] ?? nil
            result[attachment.requester] = domains[attachment.domain] ?? parent.flatMap { domains[$0] }
        }
        return result
    }

    /// Why a device that depends on `row` is not restored.
    public static func reason(_ row: StoreDefect) -> String { "restore: \(row.table) \(row.key) is damaged" }

    /// A line for each of the first ``rows``.
    public var notes: [String] {
        rows.prefix(20).map { "damaged: \($0)" } + (rows.count > 20 ? ["damaged: \(rows.count - 20) rows more"] : [])
    }
}
