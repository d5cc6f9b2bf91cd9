import IOMMUModel

/// A run of translations: input and output address both continue, the rights stay the same.
public struct TranslatedRun: Sendable, Hashable {
    /// Both ends included.
    public let range: IOVARange
    /// What the first input address translates to.
    public let pa: PhysicalAddress
    /// The rights of all entries on the way, ANDed; never empty.
    public let protection: Protection

    public init(range: IOVARange, pa: PhysicalAddress, protection: Protection) {
        self.range = range
        self.pa = pa
        self.protection = protection
    }
}

/// One leaf entry as the hardware uses it.
public struct TranslatedLeaf: Sendable, Hashable {
    public let iova: IOVA
    public let pa: PhysicalAddress
    /// It maps `2^pageSizeLog2` bytes.
    public let pageSizeLog2: Int
    /// The rights of all entries on the way, ANDed; never empty.
    public let protection: Protection
}

/// How an enumeration ended.
public enum EnumerationEnd: Sendable, Hashable {
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
        var first: UInt64 = 0
        var next: UInt64 = 0
        var pa: UInt64 = 0
        var rights: UInt8 = 0
        func tell() -> Bool {
            guard rights != 0 else { return true }
            let range = IOVARange(first: IOVA(first), last: IOVA(next &- 1))!
            return body(TranslatedRun(range: range, pa: PhysicalAddress(pa), protection: .init(rawValue: rights)))
        }
        let end = forEachPiece { piece in
            if piece.rights == rights, piece.first == next, piece.pa == pa &+ (next &- first) {
                next = piece.last &+ 1
                return true
            }
            guard tell() else { return false }
            first = piece.first
            next = piece.last &+ 1
            pa = piece.pa
            rights = piece.rights
            return true
        }
        if end == .stopped || !tell() { return .stopped }
        return end
    }

    /// Calls `body` with every leaf entry, ascending by input address, until it answers false; bounded as
    /// ``forEachRun(_:)``, each leaf counting as a piece.
    @discardableResult
    public func forEachLeaf(_ body: (TranslatedLeaf) -> Bool) -> EnumerationEnd {
        var told = 0
        var exceeded: IOVA?
        let end = forEachPiece { piece in
            let size: UInt64 = 1 &<< UInt64(piece.pageSizeLog2)
            for number in 0..<piece.count {
                let iova = piece.first &+ UInt64(number) &* size
                if iova > piece.last { break }
                if told == budget.runs {
                    exceeded = IOVA(iova)
                    return false
                }
                told &+= 1
                let leaf = TranslatedLeaf(
                    iova: IOVA(iova), pa: PhysicalAddress(piece.pa &+ UInt64(number) &* size),
                    pageSizeLog2: piece.pageSizeLog2, protection: .init(rawValue: piece.rights))
                guard body(leaf) else { return false }
            }
            return true
        }
        return exceeded.map { .budgetExceeded(at: $0) } ?? end
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

    /// Leaves of one table page that continue each other.
    private struct Piece {
        var first: UInt64
        /// Clipped to the input width.
        var last: UInt64
        var pa: UInt64
        var count: Int
        var pageSizeLog2: Int
        var rights: UInt8
    }

    /// Where the enumeration is in one table.
    private struct Place {
        var item: Int
        var end: Int
        var base: UInt64
        var shift: UInt64
        var rights: UInt8
    }

    private func forEachPiece(_ body: (Piece) -> Bool) -> EnumerationEnd {
        guard let rootRecord = records.first, rootRecord.hasLeaf else { return .complete }
        let lastIOVA = configuration.lastIOVA.rawValue
        var left = budget.runs
        // The tables above the current one; levels fall by at least one, so it never grows past the number of levels.
        var above: [Place] = []
        above.reserveCapacity(configuration.topLevel + 1)
        func place(_ record: Record, base: UInt64, rights: UInt8) -> Place {
            Place(
                item: record.firstItem, end: record.firstItem + Int(record.itemCount), base: base,
                shift: UInt64(12 + 9 * Int(record.level)), rights: rights)
        }
        return items.withUnsafeBufferPointer { items in
            var current = place(rootRecord, base: 0, rights: 3)
            while true {
                guard current.item < current.end else {
                    guard let upper = above.popLast() else { return .complete }
                    current = upper
                    continue
                }
                let item = items[current.item]
                current.item &+= 1
                let first = current.base &+ UInt64(item.index) &<< current.shift
                if first > lastIOVA { return .complete }
                let rights = current.rights & item.rights
                if rights == 0 { continue }
                if item.isTable {
                    let record = records[Int(truncatingIfNeeded: item.value)]
                    guard record.hasLeaf else { continue }
                    guard left > 0 else { return .budgetExceeded(at: IOVA(first)) }
                    left &-= 1
                    above.append(current)
                    current = place(record, base: first, rights: rights)
                } else {
                    guard left > 0 else { return .budgetExceeded(at: IOVA(first)) }
                    left &-= 1
                    let last = first &+ UInt64(item.count) &<< current.shift &- 1
                    let piece = Piece(
                        first: first, last: min(last, lastIOVA), pa: item.value, count: Int(item.count),
                        pageSizeLog2: Int(truncatingIfNeeded: current.shift), rights: rights)
                    guard body(piece) else { return .stopped }
                }
            }
        }
    }
}
