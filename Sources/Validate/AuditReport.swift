import IOMMUModel

/// What the audit of one domain found.
public struct AuditReport: Sendable, Hashable {
    /// Whether the record of areas says anything that the tables do not say themselves.
    public enum Witness: String, Sendable, Hashable, CaseIterable {
        /// The areas were declared: agreement with the tables is evidence.
        case independent
        /// The areas were read off the tables, or there are none: agreement proves nothing.
        case none
    }

    /// Its id in the record.
    public var domain: DomainID
    /// What agreement between areas and tables is worth.
    public var witness: Witness
    /// Table pages compared with memory.
    public var tablePages: Int = 0
    /// Words of table pages that differ beyond the hardware's own bits, in all.
    public var tableDifferenceCount: Int = 0
    /// The first of them, by address.
    public var tableDifferences: [TableDifference] = []
    /// Areas that were compared with the tables in memory.
    public var areas: Int = 0
    /// Runs of the tables in memory.
    public var runs: Int = 0
    /// Bytes that the tables in memory map.
    public var mappedBytes: UInt64 = 0
    /// Differences between areas and tables, in all.
    public var areaDifferenceCount: Int = 0
    /// Table pages against memory first, then areas against tables, each by IOVA. The count of either may be larger
    /// than the number listed here.
    public var findings: [Finding] = []

    /// True when nothing of severity `error` was found.
    public var isClean: Bool { !findings.contains { $0.severity == .error } }
}
