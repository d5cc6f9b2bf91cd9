/// The runs that tables of one level can have, made once per level.
struct EntryRuns: ~Copyable {
    private let runs: UnsafeMutablePointer<EntryRun>
    private var level = -1

    private static var zero: Int { 9 }
    private static var alike: Int { 10 }
    private static var progression: Int { 11 }
    private static var count: Int { 12 }

    init() {
        runs = .allocate(capacity: Self.count)
        runs.initialize(repeating: .constant(mask: ~0), count: Self.count)
    }

    deinit { runs.deallocate() }

    /// From now on for tables of `level`.
    @inline(never)
    mutating func prepare<Format: PageTableFormat>(_ format: Format.Type, level: Int, _ rules: EntryRules) {
        if level == self.level { return }
        self.level = level
        let slot = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        let mask = Format.runMask(level: level, rules)
        runs[0] = EntryRun(mask: mask, sizeLog2: slot)
        runs[Self.alike] = .constant(mask: mask)
        runs[Self.progression] = EntryRun(mask: ~0, sizeLog2: slot)
        guard Format.hasContiguousLeaves else { return }
        for slotsLog2 in 1...8 {
            let slots = UInt64(slotsLog2)
            runs[slotsLog2] = EntryRun(
                mask: LeafItems.mask(of: format), sizeLog2: slot &+ slots, slotsLog2: slots)
        }
    }

    /// Leaves of one slot each.
    @inline(__always)
    var leaves: EntryRun { runs[0] }
    /// Whole leaves of `2^slotsLog2` slots each, 1 to 8, all slots of one leaf alike.
    @inline(__always)
    func leaves(slotsLog2: UInt64) -> EntryRun { runs[Int(truncatingIfNeeded: slotsLog2)] }
    /// Slots that translate alike.
    @inline(__always)
    var alike: EntryRun { runs[Self.alike] }
    /// Words that go on as ``leaves`` do in all their bits.
    @inline(__always)
    var progression: EntryRun { runs[Self.progression] }
    /// Words that are 0.
    @inline(__always)
    var zeros: EntryRun { runs[Self.zero] }
}
