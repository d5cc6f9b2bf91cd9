import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Turns a memory image into a snapshot: every device, domain, attachment and mapping that the units' structures hold.
///
/// Follows the hardware's reading of the structures, from each unit's root register on. Damage in memory never ends an
/// import: a present context entry that the hardware refuses (reserved bits, an AW or TT that the unit lacks) keeps its
/// device and its attachment, to a paging domain *without* tables; what lies behind an unreadable pointer is missing.
/// Every lookup and table page that was read is recorded, so that findings can be made from the record alone.
public enum Importer {
    /// - One table root (and depth) on a unit is one domain. Its cache tag is the DID of the lowest requester id that
    ///   uses it; that others may use another DID, or one DID may stand for two roots, is in the recorded context entries.
    /// - Ids, and the tokens of the HWPTs, count from 1 in the order of the lowest requester id.
    /// - Throws: bad values in the meta file, a missing register, a root register that points outside the image, and
    ///   what this version does not read (other kinds of IOMMU, scalable mode).
    public static func importMachine(
        _ image: MachineImage, options: ImportOptions = ImportOptions()
    ) throws(ImportError) -> Snapshot {
        let units = try ImportedUnit.units(of: image, options: options)
        var builder = SnapshotBuilder(image: image, units: units, options: options)
        builder.addUnits()
        builder.addDevices()
        builder.addDomains()
        return builder.finish()
    }
}
