import IOMMUModel
import PageTables

/// One AMD IOMMU as the hardware sees it: registers in, and from the device table base down everything in memory. Holds
/// no cache.
public struct AMDUnitHardware: Sendable, Hashable {
    /// What everything below is decided by; a change takes effect with the next call.
    public var registers: AMDRegisters
    /// Walks set accessed and dirty bits where the device table entry asks for it (HAD).
    public var updatesAccessedDirty: Bool

    /// Registers by name, as a unit's record holds them.
    public init(
        hostAddressWidth: Int, encryptionBit: Int?, updatesAccessedDirty: Bool, named value: (String) -> UInt64?
    ) throws(IOMMUHardware.MissingRegister) {
        registers = AMDRegisters(
            deviceTableBase: value("devtab") ?? 0, hostAddressWidth: hostAddressWidth, encryptionBit: encryptionBit)
        self.updatesAccessedDirty = updatesAccessedDirty
    }

    /// The registers that decide how the unit reads its structures, as they are now.
    public var namedRegisters: [(name: String, value: UInt64)] { [("devtab", registers.deviceTableBase)] }

    /// DMA translation is on; off, every request passes through.
    public var translationEnabled: Bool { true }

    /// What the unit makes of the requests of `rid` with `pasid`.
    public func resolve(_ rid: UInt16, pasid: PASID?, memory: MemoryView) -> Resolution { .untranslated }

    /// One request of `rid`, beginning at the device table base.
    public func translate(
        _ rid: UInt16, pasid: PASID?, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome { .interrupt }

    /// The part of ``translate(_:pasid:iova:access:memory:)`` after the lookup.
    public func translate(
        _ context: RequestContext, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome { .interrupt }

    /// The entries that the hardware reads for `rid` and `pasid`, root first.
    public func steps(_ rid: UInt16, pasid: PASID?, memory: MemoryView) -> [LookupStep] { [] }

    /// Everything in the device table.
    public func listing(memory: MemoryView) -> LookupListing { LookupListing(root: PhysicalAddress(0)) }

    /// The shape of tables of `format` with their root at `topLevel`; `nil` when the unit lacks them.
    public func configuration(
        format: PageTableFormatKind, topLevel: Int, signExtended: Bool
    ) -> PageTableConfiguration? { nil }
}
