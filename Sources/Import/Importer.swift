import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Turns a memory image into a snapshot: every device, domain, attachment and mapping that the units' structures hold.
///
/// Follows the hardware's reading of the structures, from each unit's root register on. Damage in memory never ends an
/// import: a present lookup entry that the hardware refuses (reserved bits, a width or type that the unit lacks) keeps
/// its device and its attachment, to a paging domain *without* tables; what lies behind an unreadable pointer is
/// missing. Every lookup and table page that was read is recorded, so that findings can be made from the record alone.
public enum Importer {
    /// - One table root (and depth) on a unit is one domain, whatever tags it is attached under; a guest's tables over
    ///   host tables are a domain whose parent is the host's.
    /// - Ids, and the tokens of the HWPTs, count from 1 in the order of the lowest requester id.
    /// - Throws: bad values in the meta file, a missing register, a root register that points outside the image, and
    ///   what this version does not read (other kinds of IOMMU).
    public static func importMachine(
        _ image: MachineImage, options: ImportOptions = ImportOptions()
    ) throws(ImportError) -> Snapshot {
        let units = try ImportedUnit.units(of: image, options: options)
        var builder = SnapshotBuilder(image: image, units: units, options: options)
        builder.addUnits()
        builder.addDevices()
        builder.addDomains()
        builder.addLookupPages()
        return builder.finish()
    }
}
