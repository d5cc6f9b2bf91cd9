import IOMMUModel

/// The Device Table Base Address Register, MMIO offset 0x00 (AMD 48882 3.4.1).
@frozen
public struct AMDDeviceTableBase: Sendable, Hashable {
    /// All 64 bits.
    public var rawValue: UInt64
    /// Any 64 bits.
    @inlinable public init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Size of the table in 4 KiB units minus 1, bits 8:0.
    public static let size = BitField("Size", 8, 0)
    /// The table's address, bits 51:12, with SME's C-bit where memory is encrypted.
    public static let base = BitField("Base", 51, 12, isAddress: true)

    /// Fields and reserved bits of the register (AMD 48882 3.4.1).
    public static let layout = StructureLayout(
        name: "amd.dev_table_base", wordCount: 1, fields: [size, base],
        reserved: [BitRange(11, 9), BitRange(63, 52)], source: "AMD 48882 3.4.1")

    /// A table of `pageCount` pages (1 to 512) at `table`. A `table` that is not 4 KiB aligned or not below 2^52 is a
    /// bug of the caller.
    public init(table: PhysicalAddress, pageCount: Int) {
        rawValue = Self.base.encoded(table.rawValue) | Self.size.encoded(UInt64(pageCount - 1))
    }

    /// Pages of the table, 1 to 512.
    public var pageCount: Int { Int(truncatingIfNeeded: rawValue & 0x1ff) &+ 1 }

    /// Entries of the table, 128 to 65,536: the requests of higher requester ids fault.
    public var entryCount: Int { pageCount &* AMDLookupIndex.entriesPerPage }

    /// The table, 4 KiB aligned, with whatever stands in the C-bit.
    public var table: PhysicalAddress { PhysicalAddress(Self.base.value(in: rawValue)) }

    /// The reserved bits that are set.
    public var violations: [BitRange] { Self.layout.violations([rawValue]) }
}
