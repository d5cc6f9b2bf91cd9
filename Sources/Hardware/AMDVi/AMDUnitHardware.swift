import IOMMUModel
import PageTables

/// One AMD IOMMU as the hardware sees it: registers in, and from the device table base register down everything in
/// memory. Holds no cache.
///
/// Not modelled: the exclusion range, interrupt remapping, and device tables in segments (a requester id outside the
/// first segment counts as beyond the table; a listing says so).
public struct AMDUnitHardware: Sendable, Hashable {
    /// What everything below is decided by; a change takes effect with the next call.
    public var registers: AMDRegisters
    /// Walks set accessed and dirty bits: in guest tables unless the control register forbids it, in host tables where
    /// the device table entry asks for it (HAD).
    public var updatesAccessedDirty: Bool

    /// Both as given; nothing is checked.
    public init(registers: AMDRegisters, updatesAccessedDirty: Bool = false) {
        self.registers = registers
        self.updatesAccessedDirty = updatesAccessedDirty
    }

    /// Registers by their ``AMDRegisters/Name``, as a unit's record holds them. `devtab` is needed; what it means that
    /// `control` or `efr` is missing is said at ``AMDRegisters``.
    public init(
        hostAddressWidth: Int, encryptionBit: Int?, updatesAccessedDirty: Bool, named value: (String) -> UInt64?
    ) throws(IOMMUHardware.MissingRegister) {
        guard let base = value(AMDRegisters.Name.deviceTableBase) else {
            throw IOMMUHardware.MissingRegister(name: AMDRegisters.Name.deviceTableBase)
        }
        self.init(
            registers: AMDRegisters(
                deviceTableBase: AMDDeviceTableBase(rawValue: base),
                control: value(AMDRegisters.Name.control).map(AMDControl.init(rawValue:)),
                features: value(AMDRegisters.Name.features).map(AMDExtendedFeatures.init(rawValue:)),
                hostAddressWidth: hostAddressWidth, encryptionBit: encryptionBit),
            updatesAccessedDirty: updatesAccessedDirty)
    }

    /// The registers that are known, as they are now.
    public var namedRegisters: [(name: String, value: UInt64)] {
        var result = [(name: AMDRegisters.Name.deviceTableBase, value: registers.deviceTableBase.rawValue)]
        if let control = registers.control { result.append((AMDRegisters.Name.control, control.rawValue)) }
        if let features = registers.features { result.append((AMDRegisters.Name.features, features.rawValue)) }
        return result
    }

    /// The control register's IommuEn; without that register, true.
    public var translationEnabled: Bool { registers.control?.translationEnabled ?? true }

    /// What the unit makes of the requests of `rid` with `pasid`, untagged ones for `nil`, from the device table base
    /// register on (AMD 48882 2.2.2). IommuEn is not looked at.
    ///
    /// An entry that blocks on purpose (``AMDDeviceTableEntry/isBlocked``) is a pass-through context without rights:
    /// every access through it faults with IO_PAGE_FAULT.
    public func resolve(_ rid: UInt16, pasid: PASID?, memory: MemoryView) -> Resolution {
        switch device(rid, memory: memory) {
        case .absent(let page): .absent(page: page)
        case .untranslated: .untranslated
        case .fault(let fault): .fault(fault)
        case .device(let device): resolve(device, pasid: pasid, memory: memory)
        }
    }

    /// One request of `rid`, beginning at the device table base register.
    ///
    /// A request to the interrupt address range is an interrupt whether or not it has a PASID. Nothing but accessed and
    /// dirty bits is written, and these only with ``updatesAccessedDirty``.
    public func translate(
        _ rid: UInt16, pasid: PASID?, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome {
        if IOMMUHardware.interruptWindow.contains(iova) { return .interrupt }
        guard translationEnabled else { return .untranslated(PhysicalAddress(iova.rawValue), context: nil) }
        switch resolve(rid, pasid: pasid, memory: memory) {
        case .untranslated: return .untranslated(PhysicalAddress(iova.rawValue), context: nil)
        case .fault(let fault): return .fault(fault)
        case .absent(let page): return .unknown(page: page)
        case .context(let context): return translate(context, iova: iova, access: access, memory: memory)
        }
    }

    /// The part of ``translate(_:pasid:iova:access:memory:)`` after the lookup: for a caller that caches contexts.
    public func translate(
        _ context: RequestContext, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome {
        switch context.path {
        case .passThrough(let protection):
            guard protection.contains(access.needs) else {
                let cause: AMDFaultCause = access.needs == .write ? .writePermission : .readPermission
                return .fault(
                    HardwareFault(
                        .amd(AMDFaultReason(cause, request: access, guest: false)), at: context.entryAddress,
                        isRecorded: context.recordsFaults))
            }
            return .untranslated(PhysicalAddress(iova.rawValue), context: context)
        case .single(let stage):
            let guest = stage.configuration.format == .x86_64
            return outcome(
                Walker.translate(stage, memory: memory, iova: iova, access: access), context, access, guest: guest)
        case .nested(let first, let second):
            let nested = Walker.translate(first: first, second: second, memory: memory, iova: iova, access: access)
            return outcome(nested.result, context, access, guest: true)
        }
    }

    private func outcome(
        _ result: TranslationResult, _ context: RequestContext, _ access: Access, guest: Bool
    ) -> RequestOutcome {
        switch result {
        case .translated(let translation): .translated(translation, context: context)
        case .absent(let page, _): .unknown(page: page)
        case .fault(let fault, _, let address):
            .fault(
                HardwareFault(
                    .amd(AMDFaultReason(fault, access: access, guest: guest)), at: address,
                    isRecorded: context.recordsFaults))
        }
    }

    /// The shape of tables of `format` with their root at `topLevel`, without the rights of a device table entry; `nil`
    /// when the unit lacks them.
    ///
    /// `.amdV1`: any level below EFR.HATS, never sign-extended; the tree may grow to HATS. `.x86_64`: level 3, or 4 with
    /// GATS; 48 and 57 bits sign-extended (PASIDs other than 0), 47 and 56 bits not (PASID 0 and untagged requests).
    public func configuration(
        format: PageTableFormatKind, topLevel: Int, signExtended: Bool
    ) -> PageTableConfiguration? {
        switch format {
        case .amdV1:
            signExtended
                ? nil
                : hostConfiguration(topLevel: topLevel, protection: .readWrite, accessedDirty: updatesAccessedDirty)
        case .x86_64:
            guestConfiguration(topLevel: topLevel, signExtended: signExtended, protection: .readWrite, nested: false)
        case .vtdSecondStage, .armv8Stage2: nil
        }
    }
}
