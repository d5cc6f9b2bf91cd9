/// A map from page address to a small number, for the scan: open addressing, nothing is ever removed.
final class PageIndex {
    private var keys: UnsafeMutablePointer<UInt64>
    private var values: UnsafeMutablePointer<Int32>
    private var mask: Int
    private var count = 0
    /// No page has this address: its low bits are not 0.
    private static let empty: UInt64 = .max

    init() {
        mask = 63
        keys = .allocate(capacity: 64)
        keys.initialize(repeating: Self.empty, count: 64)
        values = .allocate(capacity: 64)
        values.initialize(repeating: 0, count: 64)
    }

    deinit {
        keys.deallocate()
        values.deallocate()
    }

    @inline(__always)
    private func slot(of page: UInt64) -> Int {
        // Fibonacci hashing: consecutive pages spread over the table.
        var slot = Int(truncatingIfNeeded: (page &>> 12) &* 0x9e37_79b9_7f4a_7c15 &>> 20) & mask
        while keys[slot] != page, keys[slot] != Self.empty { slot = (slot &+ 1) & mask }
        return slot
    }

    /// The number of `page` (4 KiB aligned), or `nil`.
    func find(_ page: UInt64) -> Int32? {
        let slot = slot(of: page)
        return keys[slot] == page ? values[slot] : nil
    }

    /// Sets the number of `page` (4 KiB aligned).
    func set(_ page: UInt64, _ value: Int32) {
        var slot = slot(of: page)
        if keys[slot] != page {
            if count * 2 > mask {
                grow()
                slot = self.slot(of: page)
            }
            count += 1
        }
        keys[slot] = page
        values[slot] = value
    }

    private func grow() {
        let (oldKeys, oldValues, oldCount) = (keys, values, mask + 1)
        mask = oldCount * 2 - 1
        keys = .allocate(capacity: mask + 1)
        keys.initialize(repeating: Self.empty, count: mask + 1)
        values = .allocate(capacity: mask + 1)
        values.initialize(repeating: 0, count: mask + 1)
        for old in 0..<oldCount where oldKeys[old] != Self.empty {
            let new = slot(of: oldKeys[old])
            keys[new] = oldKeys[old]
            values[new] = oldValues[old]
        }
        oldKeys.deallocate()
        oldValues.deallocate()
    }
}
