import IOMMUModel
import Snapshot

/// Every record of a file, as they were read.
struct StateReading {
    /// Normalised; without what could not be read.
    var snapshot: Snapshot
    /// What the snapshot's rows amount to.
    var manifest: Manifest
    /// What is wrong with them.
    var defects: [StoreDefect]
    /// The address spaces that have areas, where nothing is wrong.
    var areaOwners: [IOASID]
    /// Why reading ended early.
    var failure: StoreError?
}
