import IOMMUModel

/// A mapping of several leaves: what goes where. Input addresses are linear ones.
struct MapRange {
    let rules: EntryRules
    let pa: UInt64
    let iova: UInt64
    /// The last input address, included.
    let last: UInt64
    let rights: UInt8
    let options: MapOptions

    /// What the first leaf's alignment and the range's length allow of `sizes`, as a logarithm: the largest page that fits
    /// at `position` and up to `end`. 4 KiB always does.
    @inline(__always)
    func leafLog2(_ sizes: UInt64, at position: UInt64, end: UInt64) -> UInt64 {
        let aligned = (position | address(of: position) | 1 << 63).trailingZeroBitCount
        let fitting = 63 &- (end &- position &+ 1).leadingZeroBitCount
        let bound = UInt64(truncatingIfNeeded: min(aligned, fitting))
        return UInt64(truncatingIfNeeded: 63 &- (sizes & (2 &<< bound &- 1)).leadingZeroBitCount)
    }

    /// The largest of `sizes` that both addresses are congruent for, as a logarithm.
    func widestLeafLog2(_ sizes: UInt64) -> UInt64 {
        let bound = UInt64(truncatingIfNeeded: (iova ^ pa | 1 << 63).trailingZeroBitCount)
        return UInt64(truncatingIfNeeded: 63 &- (sizes & (2 &<< bound &- 1)).leadingZeroBitCount)
    }

    /// What `position` maps to.
    @inline(__always)
    func address(of position: UInt64) -> UInt64 { pa &+ (position &- iova) }

    /// The smallest leaf in tables of `level` that both addresses are congruent for, 0 when there is none: what the range
    /// covers of such aligned blocks stands in leaves of that level (or, of larger ones, in a table above).
    @inline(__always)
    func leafUnit(_ level: Int) -> UInt64 {
        let sizes = rules.leafSizes(atLevel: level)
        let unit = sizes & (0 &- sizes)
        return (iova ^ pa) & (unit &- 1) == 0 ? unit : 0
    }

    /// True when the slot at `base` of a table becomes part of a leaf of that level, whose ``leafUnit(_:)`` is `unit`.
    @inline(__always)
    func isLeaf(_ base: UInt64, unit: UInt64) -> Bool {
        unit != 0 && base & ~(unit &- 1) >= iova && base | (unit &- 1) <= last
    }

    /// The lowest root level, from `level` on, that reaches all of the range and has its first leaf.
    func topLevel(atLeast level: Int, of configuration: PageTableConfiguration) -> Int {
        var top = max(level, (Int(leafLog2(rules.pageSizes, at: iova, end: last)) - 12) / 9)
        while configuration.grown(to: top).rules.lastLinear < last { top += 1 }
        return top
    }

    /// Tables that `first...last` needs below an empty table at `level`; the slots of that table that the range covers may
    /// be leaves themselves.
    func tables(first: UInt64, last: UInt64, below level: Int) -> Int {
        var count: UInt64 = 0
        for lower in 0..<level {
            let slot = UInt64(12 + 9 * (lower + 1))
            count += last >> slot - first >> slot + 1
            // Except where a larger leaf stands.
            guard let unit = (lower + 1...level).lazy.map(leafUnit).first(where: { $0 != 0 }) else { continue }
            let size = UInt64(unit.trailingZeroBitCount)
            let begin = first >> size + (first & (unit - 1) == 0 ? 0 : 1)
            let end = last >> size + (last & (unit - 1) == unit - 1 ? 1 : 0)
            if end > begin { count -= (end - begin) << (size - slot) }
        }
        return Int(count)
    }
}
