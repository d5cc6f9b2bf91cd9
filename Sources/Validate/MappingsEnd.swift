import IOMMUModel
import PageTables

/// How a listing of mappings ended.
public enum MappingsEnd: Sendable, Hashable {
    /// Everything was told.
    case complete
    /// The body answered false.
    case stopped
    /// A budget was spent: of `requests` devices and PASIDs not all mappings were told, of `device` and `pasid` (`nil`:
    /// untagged) first.
    case budgetExceeded(device: RequesterID, pasid: PASID?, requests: Int)
}

extension ScanBudget {
    /// For all trees of a machine together: damaged lookup structures can name thousands that are all as large as may be.
    public static let allTrees = ScanBudget(pages: 1 << 24, runs: 1 << 28, defects: 1 << 20)
}
