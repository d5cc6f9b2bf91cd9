extension TableTree {
    /// A run of leaves inside one table page, or one entry that points to a table: in one word, since a scan writes many
    /// and fresh memory is dear.
    ///
    /// Bits 8:0 index of the first slot, 9 table, 10 sized, 51:12 output address or number of the record, 60:52 slots less
    /// one, 63:61 ``EntryRights`` without execute. An item that is sized has its leaves' size in its address, as AMD's do.
    struct Item: Sendable {
        private let word: UInt64

        private static var tableBit: UInt64 { 1 << 9 }
        private static var sizedBit: UInt64 { 1 << 10 }
        private static var addressField: UInt64 { 0xf_ffff_ffff_f000 }

        @inline(__always)
        private init(_ value: UInt64, index: Int, count: Int, rights: UInt8) {
            word =
                value | UInt64(truncatingIfNeeded: index) | UInt64(truncatingIfNeeded: count &- 1) &<< 52
                | UInt64(rights & 7) &<< 61
        }

        /// The entry at `index` that leads to the table with the number `record`.
        @inline(__always)
        static func table(_ record: Int32, index: Int, rights: UInt8) -> Item {
            Item(UInt64(truncatingIfNeeded: record) &<< 12 | tableBit, index: index, count: 1, rights: rights)
        }

        /// Leaves as large as their slots, the first of which maps to `address`, in `count` slots.
        @inline(__always)
        static func leaves(_ address: UInt64, index: Int, count: Int, rights: UInt8) -> Item {
            Item(address, index: index, count: count, rights: rights)
        }

        /// Leaves of `2^sizeLog2` bytes, each in several slots; `address` is a multiple of their size.
        @inline(__always)
        static func sizedLeaves(_ address: UInt64, sizeLog2: UInt64, index: Int, count: Int, rights: UInt8) -> Item {
            let size = (1 &<< (sizeLog2 &- 1)) &- 0x1000
            return Item(address | size | sizedBit, index: index, count: count, rights: rights)
        }

        @inline(__always)
        var isTable: Bool { word & Self.tableBit != 0 }
        /// Made by ``leaves(_:index:count:rights:)``.
        @inline(__always)
        var isLeavesOfSlots: Bool { word & (Self.tableBit | Self.sizedBit) == 0 }
        /// Of such: what the first leaf maps to.
        @inline(__always)
        var address: UInt64 { word & Self.addressField }
        @inline(__always)
        var index: UInt64 { word & 0x1ff }
        /// Slots; each leaf that is sized has several.
        @inline(__always)
        var count: UInt64 { (word &>> 52 & 0x1ff) &+ 1 }
        /// ``EntryRights``; execute is not kept.
        @inline(__always)
        var rights: UInt8 { UInt8(truncatingIfNeeded: word &>> 61) }
        /// Of a table.
        @inline(__always)
        var record: Int { Int(truncatingIfNeeded: (word & Self.addressField) &>> 12) }

        /// What the first leaf maps to, and the logarithm of the size of each, in a table whose slots span `2^slotLog2` bytes.
        @inline(__always)
        func leaf(slotLog2: UInt64) -> (address: UInt64, sizeLog2: UInt64) {
            let address = word & Self.addressField
            if word & Self.sizedBit == 0 { return (address, slotLog2) }
            let sizeLog2 = UInt64(truncatingIfNeeded: (~address & Self.addressField).trailingZeroBitCount &+ 1)
            return (address & ~0 &<< sizeLog2, sizeLog2)
        }
    }
}
