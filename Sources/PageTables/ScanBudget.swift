/// How much work a scan and each enumeration of its result may do. Damaged tables can name one page 2^36 times.
public struct ScanBudget: Sendable, Hashable {
    /// Table pages decoded; a page that is used at two levels counts twice.
    public var pages: Int
    /// Pieces that one enumeration of runs or leaves visits: a run inside one table page, with or without rights, or an
    /// entry that points to a table.
    public var runs: Int
    /// Defects listed one by one.
    public var defects: Int

    /// All as given; the defaults suffice for some 8 TiB mapped by 4 KiB pages.
    public init(pages: Int = 1 << 22, runs: Int = 1 << 26, defects: Int = 1 << 16) {
        self.pages = pages
        self.runs = runs
        self.defects = defects
    }

    /// No more than `other` has left of anything.
    public func limited(to other: ScanBudget) -> ScanBudget {
        ScanBudget(
            pages: min(pages, other.pages), runs: min(runs, other.runs), defects: min(defects, other.defects))
    }
}
