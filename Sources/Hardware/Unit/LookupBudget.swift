/// How much a listing of lookup structures may read: damaged ones can name every device, and every PASID of each.
///
/// A unit has bounds of its own beside these (VT-d: ``VTDUnitHardware/listedPageUses`` and
/// ``VTDUnitHardware/listedPASIDs``; AMD: ``AMDUnitHardware/gcr3PageLimit`` and ``AMDUnitHardware/pasidLimit``); the
/// smaller one holds.
public struct LookupBudget: Sendable, Hashable {
    /// VT-d: PASID directory and table pages, every use counted; AMD: GCR3 tables.
    public var pageUses: Int
    /// Entries with a PASID.
    public var pasids: Int
    /// Devices with a present (AMD: valid and not blocking) device-level entry; a unit has 65,536 at most.
    public var devices: Int

    /// All as given; the defaults leave the unit's own bounds.
    public init(pageUses: Int = .max, pasids: Int = .max, devices: Int = .max) {
        self.pageUses = pageUses
        self.pasids = pasids
        self.devices = devices
    }
}
