import IOMMUModel
import PageTables

extension VTDUnitHardware {
    /// The shape of tables of `format` with their root at `topLevel`; `nil` when the unit lacks them in its mode.
    ///
    /// Second stage: any mode; first stage (x86-64): scalable mode, sign-extended only, without execute-disable.
    /// Accessed and dirty bits of a second stage: when the unit is to set them (``updatesAccessedDirty``) and, in
    /// scalable mode, can (ECAP.SSADS): the PASID-table entry must say the same (SSADE).
    public func configuration(
        format: PageTableFormatKind, topLevel: Int, signExtended: Bool
    ) -> PageTableConfiguration? {
        switch format {
        case .vtdSecondStage:
            guard !signExtended, let width = VTDAddressWidth(topLevel: topLevel) else { return nil }
            return configuration(width: width)
        case .x86_64:
            guard signExtended, isScalable, topLevel == 3 || topLevel == 4 else { return nil }
            return firstStage(isFiveLevel: topLevel == 4, executeDisable: false)
        default: return nil
        }
    }

    /// The shape of second-stage tables of `width` on this unit; `nil` when CAP.SAGAW or, in scalable mode, ECAP lacks
    /// it. The input address has as many bits as the smaller of `width` and CAP.MGAW.
    public func configuration(width: VTDAddressWidth) -> PageTableConfiguration? {
        let ecap = registers.extendedCapability
        guard isScalable else { return secondStage(width, accessedDirty: updatesAccessedDirty) }
        guard ecap.scalableMode, ecap.secondStage || ecap.nested else { return nil }
        return secondStage(width, accessedDirty: updatesAccessedDirty && ecap.secondStageAccessedDirty)
    }

    func secondStage(_ width: VTDAddressWidth, accessedDirty: Bool) -> PageTableConfiguration? {
        guard registers.capability.supports(width) else { return nil }
        return PageTableConfiguration(
            format: .vtdSecondStage, topLevel: width.topLevel,
            addressBits: min(width.bits, registers.capability.maximumGuestAddressWidth),
            hostAddressWidth: registers.hostAddressWidth, supports2M: registers.capability.supports2M,
            supports1G: registers.capability.supports1G, snoopControl: registers.extendedCapability.snoopControl,
            deviceTLB: registers.extendedCapability.deviceTLB, accessedDirty: accessedDirty)
    }

    func firstStage(isFiveLevel: Bool, executeDisable: Bool) -> PageTableConfiguration? {
        let ecap = registers.extendedCapability
        guard ecap.scalableMode, ecap.firstStage || ecap.nested, !isFiveLevel || registers.capability.firstStage5Level
        else { return nil }
        return PageTableConfiguration(
            format: .x86_64, topLevel: isFiveLevel ? 4 : 3, hostAddressWidth: registers.hostAddressWidth,
            supports2M: true, supports1G: registers.capability.firstStage1G, noExecute: executeDisable,
            signExtended: true, accessedDirty: true)
    }
}
