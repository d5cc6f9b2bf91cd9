/// What a lookup-structure page is, where page tables have a level. The numbers are never used again.
public enum LookupLevel {
    /// No lookup structure: a page that leaves of a domain's tables map and that itself decodes as a table. It is
    /// evidence that an entry names another number of levels than its tables were built with.
    public static let mappedTable: UInt8 = 0x10
    /// VT-d: the root table, of either mode.
    public static let vtdRoot: UInt8 = 0x20
    /// VT-d: a legacy-mode context table.
    public static let vtdContext: UInt8 = 0x21
    /// VT-d: half a bus's scalable-mode context entries.
    public static let vtdScalableContext: UInt8 = 0x22
    /// VT-d: a page of a PASID directory.
    public static let vtdPASIDDirectory: UInt8 = 0x23
    /// VT-d: a PASID table.
    public static let vtdPASIDTable: UInt8 = 0x24
    /// AMD: a page of the device table.
    public static let amdDeviceTable: UInt8 = 0x30
    /// AMD: a GCR3 table whose entries are guest CR3s.
    public static let amdGCR3Level1: UInt8 = 0x31
    /// AMD: a GCR3 table whose entries point to tables of level 1.
    public static let amdGCR3Level2: UInt8 = 0x32
    /// AMD: a GCR3 table whose entries point to tables of level 2.
    public static let amdGCR3Level3: UInt8 = 0x33
    /// SMMUv3: a page of stream table entries.
    public static let smmuStreamTable: UInt8 = 0x40
    /// SMMUv3: a page of level 1 descriptors of the stream table.
    public static let smmuStreamTableLevel1: UInt8 = 0x41
}
