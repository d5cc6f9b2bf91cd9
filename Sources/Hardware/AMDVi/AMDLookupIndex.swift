import IOMMUModel

/// Where a requester's entries stand in the lookup tables of AMD-Vi (AMD 48882 2.2.2, 2.2.6.3).
public enum AMDLookupIndex {
    /// Device table entries in a 4 KiB page.
    public static let entriesPerPage = 128

    /// Bytes from the start of the device table to the entry of `rid`, at most 2 MiB - 32.
    public static func deviceEntryOffset(_ rid: UInt16) -> UInt64 {
        UInt64(rid) &* AMDDeviceTableEntry.byteCount
    }

    /// Index into a GCR3 table of `level`, 1 to 3: nine bits of the PASID, the lowest in level 1.
    public static func gcr3(_ pasid: PASID, level: Int) -> Int {
        Int(truncatingIfNeeded: pasid.rawValue &>> UInt32(truncatingIfNeeded: 9 &* (level &- 1)) & 511)
    }

    /// True when tables of `levels` levels (1 to 3) hold an entry for `pasid`.
    public static func gcr3Reaches(_ pasid: PASID, levels: Int) -> Bool {
        pasid.rawValue &>> UInt32(truncatingIfNeeded: 9 &* levels) == 0
    }
}
