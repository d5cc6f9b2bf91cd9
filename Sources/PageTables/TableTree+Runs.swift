import IOMMUModel

/// A run of translations: input and output address both continue, the rights stay the same.
public struct TranslatedRun: Sendable, Hashable {
    /// Both ends included.
    public let range: IOVARange
    /// What the first input address translates to.
    public let pa: PhysicalAddress
    /// What a device gets by all entries on the way, ANDed; never empty.
    public let protection: Protection

    /// All as given; nothing is checked.
    public init(range: IOVARange, pa: PhysicalAddress, protection: Protection) {
        self.range = range
        self.pa = pa
        self.protection = protection
    }
}

/// One leaf entry as the hardware uses it. Of a contiguous one whose items differ: each item, as a leaf of its slot's size.
public struct TranslatedLeaf: Sendable, Hashable {
    /// The first address that it maps, a multiple of its size.
    public let iova: IOVA
    /// What ``iova`` translates to, a multiple of its size.
    public let pa: PhysicalAddress
    /// It maps `2^pageSizeLog2` bytes.
    public let pageSizeLog2: Int
    /// What a device gets by all entries on the way, ANDed; never empty.
    public let protection: Protection
}

/// How an enumeration ended.
public enum EnumerationEnd: Sendable, Hashable {
    /// Everything was told.
    case complete
    /// The body answered false.
    case stopped
    /// ``ScanBudget/runs`` is spent; nothing from this input address on was told.
    case budgetExceeded(at: IOVA)
}

extension TableTree {
    /// Calls `body` with every maximal run, ascending by input address, until it answers false.
    ///
    /// Runs cross table pages and page sizes; they end where the configuration's input width ends. A page that is used
    /// again is told again, as the hardware would translate. Linear in the pieces told, bounded by ``ScanBudget/runs``.
    @discardableResult
    public func forEachRun(_ body: (TranslatedRun) -> Bool) -> EnumerationEnd {
        var cursor = runCursor()
        while let (run, _) = cursor.next() {
            guard body(run) else { return .stopped }
        }
        return cursor.budgetExceededAt.map { .budgetExceeded(at: $0) } ?? .complete
    }

    /// Calls `body` with every leaf entry, ascending by input address, until it answers false; bounded as
    /// ``forEachRun(_:)``, each leaf counting as a piece.
    @discardableResult
    public func forEachLeaf(_ body: (TranslatedLeaf) -> Bool) -> EnumerationEnd {
        var told = 0
        var cursor = PieceCursor(self)
        var piece = Piece()
        while cursor.next(&piece) {
            for number in 0...(piece.last &- piece.first) &>> UInt64(truncatingIfNeeded: piece.pageSizeLog2) {
                let iova = piece.first &+ number &* piece.size
                if told == budget.runs { return .budgetExceeded(at: IOVA(iova)) }
                told &+= 1
                let leaf = TranslatedLeaf(
                    iova: IOVA(iova), pa: PhysicalAddress(piece.pa &+ number &* piece.size),
                    pageSizeLog2: piece.pageSizeLog2, protection: .init(rawValue: piece.rights))
                guard body(leaf) else { return .stopped }
            }
        }
        return cursor.budgetExceededAt.map { .budgetExceeded(at: $0) } ?? .complete
    }

    /// All runs in an array; for tests and small trees.
    public func runs() -> [TranslatedRun] {
        var runs: [TranslatedRun] = []
        forEachRun { run in
            runs.append(run)
            return true
        }
        return runs
    }
}
