import IOMMUModel

extension TreeScanner where Notes: ~Copyable {
    /// What a table is that something was expected of.
    enum Expected {
        /// Not all words are what was expected.
        case different
        /// All are, but there is more in it than healthy leaves of one slot each, and nothing.
        case mixed
        /// All are; so many items were written ahead.
        case leaves(Int)
    }

    /// Holds the 512 words of the table `number`, whose slots span `2^shift` bytes, against the expected ones, but for the
    /// bits that the hardware updates, and writes what the expected ones map as items to `place`.
    @inline(__always)
    mutating func readExpected(
        _ words: UnsafePointer<UInt64>, _ expected: UnsafeBufferPointer<RecordedWords>, of number: Int, level: Int,
        shift: UInt64, to place: UnsafeMutablePointer<TableTree.Item>
    ) -> Expected {
        let size: UInt64 = 1 &<< shift
        let mask = ~notes.ignored
        // Where the words do not go on is found for all of them at once: see ``EntryBreaks``.
        breaks.note(in: words, mask: mask, size: size)
        // Many runs, more than four by measurement, keep the processor busy, while memory has nothing to do.
        if expected.count > 4 { fetchPage(number &+ 1) }
        let pages = rules.addressMask & ~0 &<< shift
        // All but the address of the last leaf that nothing was wrong with.
        var model: (bits: UInt64, rights: UInt8) = (pages, 0)
        // A run of larger leaves could step over the C-bit, which is 32 at least.
        var isMixed = shift > 21
        var used = 0
        // The last item: what continues it is part of it, though the record has it apart (a page that was used).
        var open: (address: UInt64, index: Int, rights: UInt8) = (0, 0, 0)
        // Where the leaf would lie that continues it, and what it would map.
        var next: (address: UInt64, index: Int) = (0, -1)
        var index = 0
        var difference: UInt64 = 0
        for run in expected {
            guard run.count > 0, run.count <= 512 &- index else { return .different }
            let end = index &+ run.count
            let goesOn = run.stride == size || run.count == 1
            if goesOn {
                breaks.expect(index)
                difference |= words[index] ^ run.first
            } else {
                breaks.expect(index..<end)
                var word = run.first
                for place in index..<end {
                    difference |= words[place] ^ word
                    word = word &+ run.stride
                }
            }
            if run.first != 0 || run.stride != 0 {
                if run.first & ~pages != model.bits, !isMixed {
                    model = (run.first & ~pages, Format.rights(run.first) | Format.grantedRights)
                    isMixed = !isHealthyLeaf(run.first, level: level, shift: shift)
                }
                let last = run.first & pages &+ UInt64(truncatingIfNeeded: run.count &- 1) &<< shift
                isMixed = isMixed || last & ~pages != 0 || !goesOn
                let address = run.first & pages
                if address == next.address, index == next.index, open.rights == model.rights {
                    used &-= 1
                } else {
                    open = (address, index, model.rights)
                }
                next = (last &+ size, end)
                place[used] = .leaves(open.address, index: open.index, count: end &- open.index, rights: open.rights)
                used &+= 1
            }
            index = end
        }
        guard index == 512, difference & mask == 0, !breaks.hasMore else { return .different }
        return isMixed ? .mixed : .leaves(used)
    }

    private func isHealthyLeaf(_ word: UInt64, level: Int, shift: UInt64) -> Bool {
        guard case .leaf = Format.kind(word, level: level, rules) else { return false }
        return Format.leafSizeLog2(word, level: level, rules) == shift
            && Format.lints(word, .leaf, level: level, rules).isEmpty
    }
}
