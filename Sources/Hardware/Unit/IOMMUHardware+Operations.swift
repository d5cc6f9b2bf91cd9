import IOMMUModel
import PageTables

extension IOMMUHardware {
    /// A unit of `kind` with registers by name, as a unit's record or a meta file holds them; `nil` when this version
    /// does not read that kind.
    ///
    /// - Parameters:
    ///   - hostAddressWidth: width of physical addresses in bits.
    ///   - encryptionBit: SME's C-bit (AMD), which no register tells; `nil` without memory encryption.
    ///   - updatesAccessedDirty: the unit sets accessed and dirty bits where its structures leave that to it.
    public init?(
        kind: IOMMUKind, hostAddressWidth: Int, encryptionBit: Int? = nil, updatesAccessedDirty: Bool = false,
        named value: (String) -> UInt64?
    ) throws(MissingRegister) {
        switch kind {
        case .intelVTd:
            self = .vtd(
                try VTDUnitHardware(
                    hostAddressWidth: hostAddressWidth, encryptionBit: encryptionBit,
                    updatesAccessedDirty: updatesAccessedDirty, named: value))
        case .amdVi:
            self = .amd(
                try AMDUnitHardware(
                    hostAddressWidth: hostAddressWidth, encryptionBit: encryptionBit,
                    updatesAccessedDirty: updatesAccessedDirty, named: value))
        case .armSMMUv3:
            self = .smmu(
                try SMMUUnitHardware(
                    hostAddressWidth: hostAddressWidth, updatesAccessedDirty: updatesAccessedDirty, named: value))
        case .riscv: return nil
        }
    }

    /// The registers that decide how the unit reads its structures, as they are now.
    public var namedRegisters: [(name: String, value: UInt64)] {
        switch self {
        case .vtd(let unit): unit.namedRegisters
        case .amd(let unit): unit.namedRegisters
        case .smmu(let unit): unit.namedRegisters
        }
    }

    /// Width of physical addresses in bits.
    public var hostAddressWidth: Int {
        switch self {
        case .vtd(let unit): unit.registers.hostAddressWidth
        case .amd(let unit): unit.registers.hostAddressWidth
        case .smmu(let unit): unit.registers.outputBits
        }
    }

    /// The unit sets accessed and dirty bits where its structures leave that to it.
    public var updatesAccessedDirty: Bool {
        get {
            switch self {
            case .vtd(let unit): unit.updatesAccessedDirty
            case .amd(let unit): unit.updatesAccessedDirty
            case .smmu(let unit): unit.updatesAccessedDirty
            }
        }
        set {
            switch self {
            case .vtd(var unit):
                unit.updatesAccessedDirty = newValue
                self = .vtd(unit)
            case .amd(var unit):
                unit.updatesAccessedDirty = newValue
                self = .amd(unit)
            case .smmu(var unit):
                unit.updatesAccessedDirty = newValue
                self = .smmu(unit)
            }
        }
    }

    /// DMA translation is on; off, every request passes through.
    public var translationEnabled: Bool {
        switch self {
        case .vtd(let unit): unit.translationEnabled
        case .amd(let unit): unit.translationEnabled
        case .smmu(let unit): unit.registers.translationEnabled
        }
    }

    /// What the unit makes of the requests of `rid` with `pasid` (`nil`: untagged), from its root register on.
    ///
    /// - Parameter asListed: go on where ``listing(memory:budget:)`` does although the device may not use the PASID (VT-d).
    public func resolve(_ rid: UInt16, pasid: PASID?, memory: MemoryView, asListed: Bool = false) -> Resolution {
        switch self {
        case .vtd(let unit): unit.resolve(rid, pasid: pasid, memory: memory, asListed: asListed)
        case .amd(let unit): unit.resolve(rid, pasid: pasid, memory: memory)
        case .smmu(let unit): unit.resolve(rid, pasid: pasid, memory: memory)
        }
    }

    /// One request, beginning at the root register. Nothing but accessed and dirty bits is written.
    public func translate(
        _ rid: UInt16, pasid: PASID?, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome {
        switch self {
        case .vtd(let unit): unit.translate(rid, pasid: pasid, iova: iova, access: access, memory: memory)
        case .amd(let unit): unit.translate(rid, pasid: pasid, iova: iova, access: access, memory: memory)
        case .smmu(let unit): unit.translate(rid, pasid: pasid, iova: iova, access: access, memory: memory)
        }
    }

    /// The part of ``translate(_:pasid:iova:access:memory:)`` after the lookup: for a caller that caches contexts.
    public func translate(
        _ context: RequestContext, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome {
        switch self {
        case .vtd(let unit): unit.translate(context, iova: iova, access: access, memory: memory)
        case .amd(let unit): unit.translate(context, iova: iova, access: access, memory: memory)
        case .smmu(let unit): unit.translate(context, iova: iova, access: access, memory: memory)
        }
    }

    /// The lookup entries that the hardware reads for `rid` and `pasid`, root first, up to the one at which it stops.
    ///
    /// - Parameter asListed: as for ``resolve(_:pasid:memory:asListed:)``.
    public func steps(_ rid: UInt16, pasid: PASID?, memory: MemoryView, asListed: Bool = false) -> [LookupStep] {
        switch self {
        case .vtd(let unit): unit.steps(rid, pasid: pasid, memory: memory, asListed: asListed)
        case .amd(let unit): unit.steps(rid, pasid: pasid, memory: memory)
        case .smmu(let unit): unit.steps(rid, memory: memory)
        }
    }

    /// Everything that stands in the unit's lookup structures, damaged entries included.
    public func listing(memory: MemoryView, budget: LookupBudget = LookupBudget()) -> LookupListing {
        switch self {
        case .vtd(let unit): unit.listing(memory: memory, budget: budget)
        case .amd(let unit): unit.listing(memory: memory, budget: budget)
        case .smmu(let unit): unit.listing(memory: memory, budget: budget)
        }
    }

    /// The shape of tables of `format` with their root at `topLevel`; `nil` when the unit lacks them. `addressBits` counts where
    /// levels do not say it (Armv8); `nil` stands for all that they reach.
    public func configuration(
        format: PageTableFormatKind, topLevel: Int, addressBits: Int?, signExtended: Bool
    ) -> PageTableConfiguration? {
        switch self {
        case .vtd(let unit): unit.configuration(format: format, topLevel: topLevel, signExtended: signExtended)
        case .amd(let unit): unit.configuration(format: format, topLevel: topLevel, signExtended: signExtended)
        case .smmu(let unit):
            unit.configuration(
                format: format, topLevel: topLevel, addressBits: addressBits, signExtended: signExtended)
        }
    }
}
