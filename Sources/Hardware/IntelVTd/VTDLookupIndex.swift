import IOMMUModel

/// Where a requester's entries stand in the lookup tables of VT-d (VT-d 3.4.2, 3.4.3).
public enum VTDLookupIndex {
    /// Index into the root table: the bus.
    public static func root(_ rid: UInt16) -> Int { Int(rid >> 8) }
    /// Index into a legacy context table: device and function.
    public static func context(_ rid: UInt16) -> Int { Int(rid & 0xff) }
    /// True when scalable mode takes the upper half of the root entry (device and function 128 to 255).
    public static func usesUpperScalableHalf(_ rid: UInt16) -> Bool { rid & 0x80 != 0 }
    /// Index into a scalable-mode context table.
    public static func scalableContext(_ rid: UInt16) -> Int { Int(rid & 0x7f) }
    /// Index into the PASID directory: PASID bits 19:6.
    public static func directory(_ pasid: PASID) -> Int { Int(pasid.rawValue >> 6) }
    /// Index into the PASID table: PASID bits 5:0.
    public static func pasidTable(_ pasid: PASID) -> Int { Int(pasid.rawValue & 63) }

    /// Address of the root entry for `rid`, in either mode; `nil` past the end of the 64-bit space.
    public static func rootEntry(_ rid: UInt16, in table: PhysicalAddress) -> PhysicalAddress? {
        table.offset(by: UInt64(root(rid)) * VTDRootEntry.byteCount)
    }

    /// Address of the legacy context entry for `rid`; `nil` past the end of the 64-bit space.
    public static func contextEntry(_ rid: UInt16, in table: PhysicalAddress) -> PhysicalAddress? {
        table.offset(by: UInt64(context(rid)) * VTDContextEntry.byteCount)
    }

    /// Address of the scalable-mode context entry for `rid`; `nil` past the end of the 64-bit space.
    public static func scalableContextEntry(_ rid: UInt16, in table: PhysicalAddress) -> PhysicalAddress? {
        table.offset(by: UInt64(scalableContext(rid)) * VTDScalableContextEntry.byteCount)
    }

    /// Address of the directory entry for `pasid`; `nil` past the end of the 64-bit space. Whether the directory is
    /// that large is not checked (``VTDScalableContextEntry/reaches(_:)``).
    public static func directoryEntry(_ pasid: PASID, in directory: PhysicalAddress) -> PhysicalAddress? {
        directory.offset(by: UInt64(Self.directory(pasid)) * VTDPASIDDirectoryEntry.byteCount)
    }

    /// Address of the PASID-table entry for `pasid`; `nil` past the end of the 64-bit space.
    public static func pasidEntry(_ pasid: PASID, in table: PhysicalAddress) -> PhysicalAddress? {
        table.offset(by: UInt64(pasidTable(pasid)) * VTDPASIDEntry.byteCount)
    }
}
