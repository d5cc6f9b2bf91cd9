import IOMMUModel
import PageTables

extension AMDUnitHardware {
    /// Everything that stands in the device table and in the GCR3 tables behind it.
    ///
    /// A valid entry is listed for untagged requests, and for every PASID that has a valid GCR3 entry (PASID 0 is
    /// the untagged requests' where guest I/O protection gives it to them). Not listed: V = 0
    /// (its requests pass unchanged), entries that block on purpose, and untagged requests that guest I/O protection
    /// sends to an empty entry of PASID 0. GCR3 tables at addresses of a guest are the guest's own pages and are not
    /// among ``LookupListing/pages``.
    ///
    /// Bounded: a GCR3 table is decoded once however many entries point to it, at most ``gcr3PageLimit`` of them, and at
    /// most ``pasidLimit`` entries with a PASID are listed, and as many devices as `budget` says; a defect
    /// (`table-budget-exceeded`) says when there are more.
    public func listing(memory: MemoryView, budget: LookupBudget = LookupBudget()) -> LookupListing {
        var reader = AMDDeviceTableReader(hardware: self, memory: memory, budget: budget)
        reader.run()
        return reader.listing
    }

    /// GCR3 tables that a listing decodes at most.
    public static let gcr3PageLimit = 1 << 14
    /// Entries with a PASID that a listing holds at most.
    public static let pasidLimit = 1 << 17
}
