/// How much a listing of lookup structures may read: damaged ones can name every PASID of every device.
///
/// A unit has bounds of its own beside these (VT-d: ``VTDUnitHardware/listedPageUses`` and
/// ``VTDUnitHardware/listedPASIDs``; AMD: ``AMDUnitHardware/gcr3PageLimit`` and ``AMDUnitHardware/pasidLimit``); the
/// smaller one holds.
public struct LookupBudget: Sendable, Hashable {
    /// VT-d: PASID directory and table pages, every use counted; AMD: GCR3 tables.
    public var pageUses: Int
    /// Entries with a PASID.
    public var pasids: Int

    /// Both as given; the defaults leave the unit's own bounds.
    public init(pageUses: Int = .max, pasids: Int = .max) {
        self.pageUses = pageUses
        self.pasids = pasids
    }
}
