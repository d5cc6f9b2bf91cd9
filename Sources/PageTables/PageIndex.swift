import Glibc

/// Finds the record of a page, for the scan: open addressing, nothing is ever removed.
///
/// Holds the records' numbers only: a quarter of the memory that pages and numbers would take, and fresh memory is dear.
struct PageIndex: ~Copyable {
    /// One more than a record's number; 0: empty.
    private var slots: UnsafeMutablePointer<UInt32>
    private var mask: Int
    private var count = 0

    init() {
        mask = 63
        slots = Self.memory(64)
    }

    deinit { free(slots) }

    private static func memory(_ count: Int) -> UnsafeMutablePointer<UInt32> {
        guard let memory = calloc(count, 4) else { preconditionFailure("out of host memory") }
        return memory.assumingMemoryBound(to: UInt32.self)
    }

    /// The slot of `page`, or the empty one that it would get.
    @inline(__always)
    private func slot(of page: UInt64, _ records: UnsafePointer<TableTree.Record>) -> Int {
        // Fibonacci hashing: consecutive pages spread over the table.
        var slot = Int(truncatingIfNeeded: (page &>> 12) &* 0x9e37_79b9_7f4a_7c15 &>> 20) & mask
        while slots[slot] != 0, records[Int(slots[slot] &- 1)].page != page { slot = (slot &+ 1) & mask }
        return slot
    }

    /// The number of the record of `page` (4 KiB aligned) that was set last, or `nil`.
    @inline(__always)
    func find(_ page: UInt64, in records: UnsafePointer<TableTree.Record>) -> Int32? {
        let number = slots[slot(of: page, records)]
        return number == 0 ? nil : Int32(bitPattern: number &- 1)
    }

    /// Sets the record of `page` (4 KiB aligned), which is among `records` already.
    @inline(__always)
    mutating func set(_ page: UInt64, _ number: Int32, in records: UnsafePointer<TableTree.Record>) {
        if count &* 2 > mask { grow(records) }
        let slot = slot(of: page, records)
        if slots[slot] == 0 { count &+= 1 }
        slots[slot] = UInt32(bitPattern: number) &+ 1
    }

    @inline(never)
    private mutating func grow(_ records: UnsafePointer<TableTree.Record>) {
        let (old, oldCount) = (slots, mask + 1)
        mask = oldCount * 2 - 1
        slots = Self.memory(mask + 1)
        for number in UnsafeBufferPointer(start: old, count: oldCount) where number != 0 {
            slots[slot(of: records[Int(number - 1)].page, records)] = number
        }
        free(old)
    }
}
