import IOMMUModel

extension TreeScanner where Notes: ~Copyable {
    /// True when the 512 words of a table, whose slots span `2^shift` bytes, are the expected ones but for the bits of
    /// `mask`.
    @inline(__always)
    mutating func agrees(
        _ words: UnsafePointer<UInt64>, with expected: UnsafeBufferPointer<RecordedWords>, shift: UInt64,
        ignoring mask: UInt64
    ) -> Bool {
        let size: UInt64 = 1 &<< shift
        // Where the words do not go on is found for all of them at once: see ``EntryBreaks``.
        let isInParts = expected.count > 4
        if isInParts { breaks.find(in: words, mask: ~mask, size: size) }
        var nextBreak = 0
        var index = 0
        var difference: UInt64 = 0
        for run in expected {
            guard run.count <= 512 &- index else { return false }
            let end = index &+ run.count
            if isInParts, run.stride == size || run.count == 1 {
                while breaks[nextBreak] <= index { nextBreak &+= 1 }
                guard breaks[nextBreak] >= end else { return false }
                difference |= words[index] ^ run.first
            } else {
                var word = run.first
                for place in index..<end {
                    difference |= words[place] ^ word
                    word = word &+ run.stride
                }
            }
            index = end
        }
        return index == 512 && difference & ~mask == 0
    }

    /// Writes what a table maps whose words are the expected ones, and answers how many items that are; `nil` where there is
    /// more in it than healthy leaves of one slot each, and nothing.
    @inline(__always)
    func decode(
        _ expected: UnsafeBufferPointer<RecordedWords>, level: Int, shift: UInt64,
        to place: UnsafeMutablePointer<TableTree.Item>
    ) -> Int? {
        // A run of larger leaves could step over the C-bit, which is 32 at least.
        guard shift <= 21 else { return nil }
        let pages = rules.addressMask & ~0 &<< shift
        // All but the address of the last leaf that nothing was wrong with.
        var model: (bits: UInt64, rights: UInt8) = (pages, 0)
        var used = 0
        var index = 0
        for run in expected {
            if run.first == 0, run.stride == 0 {
                index &+= run.count
                continue
            }
            if run.first & ~pages != model.bits {
                guard case .leaf = Format.kind(run.first, level: level, rules),
                    Format.leafSizeLog2(run.first, level: level, rules) == shift,
                    Format.lints(run.first, .leaf, level: level, rules).isEmpty
                else { return nil }
                model = (run.first & ~pages, Format.rights(run.first) | Format.grantedRights)
            }
            let last = run.first & pages &+ UInt64(truncatingIfNeeded: run.count &- 1) &<< shift
            guard last & ~pages == 0, run.count == 1 || run.stride == 1 &<< shift else { return nil }
            place[used] = .leaves(run.first & pages, index: index, count: run.count, rights: model.rights)
            used &+= 1
            index &+= run.count
        }
        return used
    }
}
