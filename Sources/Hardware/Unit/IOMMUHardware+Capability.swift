import IOMMUModel

/// What a unit can do, in words that the vendors share.
extension IOMMUHardware {
    /// Requests go through lookup structures in memory.
    public var readsTables: Bool {
        guard translationEnabled else { return false }
        guard case .vtd(let unit) = self else { return true }
        return [.legacy, .scalable].contains(unit.registers.rootTableAddress.mode)
    }

    /// Requests with a PASID can be told apart (VT-d: scalable mode and ECAP.PASID; AMD: EFR.GTSup; SMMUv3:
    /// stage 1, which is not read).
    public var supportsPASID: Bool {
        switch self {
        case .vtd(let unit):
            unit.registers.rootTableAddress.mode == .scalable && unit.registers.extendedCapability.pasid
        case .amd(let unit): unit.registers.features?.guestTranslation == true
        case .smmu: false
        }
    }

    /// The same unit with registers that abort all DMA, whatever memory holds (VT-d: RTADDR.TTM 3, where ECAP.ADMS allows it,
    /// and translation on; SMMUv3: GBPA.ABORT, then translation off); `nil` when it has no such state: AMD-Vi.
    public var abortingAll: IOMMUHardware? {
        switch self {
        case .vtd(var unit):
            guard unit.registers.extendedCapability.abortsDMA else { return nil }
            unit.registers.rootTableAddress = VTDRootTableAddress(
                mode: .abortDMA, rootTable: unit.registers.rootTableAddress.rootTable)
            unit.registers.globalStatus.rawValue |= VTDGlobalStatus(translationEnabled: true).rawValue
            return .vtd(unit)
        case .amd: return nil
        case .smmu(var unit):
            unit.registers.globalBypass = (unit.registers.globalBypass ?? 0) | 1 << 20
            unit.registers.control = (unit.registers.control ?? 0) & ~1
            return .smmu(unit)
        }
    }

    /// A guest's tables can be walked below the host's (VT-d: scalable mode and ECAP.NEST; AMD: EFR.GTSup;
    /// SMMUv3: stage 1, which is not read).
    public var supportsNesting: Bool {
        switch self {
        case .vtd(let unit):
            unit.registers.rootTableAddress.mode == .scalable && unit.registers.extendedCapability.nested
        case .amd(let unit): unit.registers.features?.guestTranslation == true
        case .smmu: false
        }
    }
}
