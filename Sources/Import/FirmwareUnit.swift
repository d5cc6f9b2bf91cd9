import Hardware
import IOMMUModel
import Snapshot

/// What the ACPI table of a meta file says about one unit: Intel's DMAR or AMD's IVRS.
struct FirmwareUnit {
    private let dmar: DMARTable?
    private let ivrs: IVRSTable?
    /// Index of the unit in its table.
    private let index: Int?

    /// The unit with the register base of `unit`; without one, the unit at the same place of the table.
    init(_ unit: ImageMetadata.Unit, index: Int) {
        dmar = unit.dmar
        ivrs = unit.ivrs
        let bases = unit.dmar?.units.map(\.registerBase) ?? unit.ivrs?.units.map(\.registerBase) ?? []
        self.index =
            if let base = unit.registerBase {
                bases.firstIndex(of: base)
            } else {
                index < bases.count ? index : nil
            }
    }

    var segment: UInt32? { index.flatMap { dmar?.units[$0].segment ?? ivrs?.units[$0].segment }.map(UInt32.init) }

    var registerBase: PhysicalAddress? {
        index.flatMap { dmar?.units[$0].registerBase ?? ivrs?.units[$0].registerBase }
    }

    /// In bits; an IVRS that says none is passed over.
    var hostAddressWidth: Int? {
        dmar?.hostAddressWidth ?? ivrs.flatMap { $0.physicalAddressBits == 0 ? nil : $0.physicalAddressBits }
    }

    /// True when ACPI says that this unit serves `requester`; `nil` when it says nothing. `busesBehind` tells a bridge's
    /// secondary to subordinate buses where they are known.
    func serves(_ requester: RequesterID) -> Bool? {
        guard let index else { return nil }
        let serving = dmar?.unitIndex(serving: requester) ?? ivrs?.unitIndex(serving: requester)
        return serving.map { $0 == index }
    }

    /// The requester id that the hardware takes requests of `requester` for (IVRS alias entries); itself without one.
    func alias(of requester: RequesterID) -> RequesterID { ivrs?.alias(of: requester) ?? requester }
}
