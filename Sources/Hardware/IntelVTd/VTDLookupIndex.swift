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

    /// Address of the root entry for `rid`; `nil` past the end of the 64-bit space.
    public static func rootEntry(_ rid: UInt16, in table: PhysicalAddress) -> PhysicalAddress? {
        table.offset(by: UInt64(root(rid)) * VTDRootEntry.byteCount)
    }

    /// Address of the legacy context entry for `rid`; `nil` past the end of the 64-bit space.
    public static func contextEntry(_ rid: UInt16, in table: PhysicalAddress) -> PhysicalAddress? {
        table.offset(by: UInt64(context(rid)) * VTDContextEntry.byteCount)
    }
}
