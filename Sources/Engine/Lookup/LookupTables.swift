import Hardware
import IOMMUModel
import PageTables

/// The lookup structures of one unit as its driver writes them: the only code that changes a lookup entry.
///
/// Nothing is kept beside memory: where an entry stands is read off the structures themselves, so that structures which
/// a former kernel left need no books. Invalidations are the caller's.
protocol LookupTables {
    init(_ unit: UnitHardware, memory: MemoryView)

    /// Makes the root structure, every request blocked, and turns translation on.
    ///
    /// - Throws: `ENOMEM`.
    func setUp(devices: [MachineDevice], arena: inout TableArena) throws(Errno)

    /// Where the entry for the requests of `device` with `pasid` stands; `nil` while a table on the way is missing.
    func entryAddress(_ device: MachineDevice, _ pasid: PASID?) -> PhysicalAddress?

    /// Writes the entry for the requests of `device` with `pasid`, making the tables on the way. On failure nothing that
    /// translates has changed.
    ///
    /// - Throws: `EINVAL` the structures cannot say it, `EOPNOTSUPP` the unit or the device cannot do it, `ENOMEM`,
    ///   `EFAULT` a table on the way is not in memory.
    func install(
        _ entry: LookupEntry, for device: MachineDevice, _ pasid: PASID?, arena: inout TableArena
    ) throws(Errno) -> PhysicalAddress

    /// Points the one entry that names host tables for all of `device`'s requests at `host`, by one store; all else in it
    /// stays. That the unit can walk `host` is the caller's to know.
    ///
    /// - Throws: `EINVAL` there is no such entry (VT-d: each PASID has its own), or `host` is none of its tables.
    func rehost(_ device: MachineDevice, to host: TranslationStage) throws(Errno)

    /// Blocks the requests of `device` with `pasid`; tables that hold nothing any more are freed.
    ///
    /// - Returns: where the entry stands that blocks, `nil` when there is none.
    func clear(_ device: MachineDevice, _ pasid: PASID?, arena: inout TableArena) -> PhysicalAddress?

    /// The device-level entry of `device` when it lets requests through or could; `nil` otherwise.
    func deviceEntry(_ device: MachineDevice) -> DeviceEntry?

    /// Every device-level entry in memory that lets requests through or could (AMD: not the valid-but-blocked fillers),
    /// ascending by requester.
    func deviceEntries() -> [DeviceEntry]

    /// Blocks all requests of the device of `entry`; its tables stay.
    func block(_ entry: DeviceEntry)

    /// The table at the root register is in memory, all of it.
    var holdsRoot: Bool { get }

    /// Makes every entry of the table at the root register refuse, whatever it is; nothing below is read or freed.
    func blockAll()

    /// Takes out of the structures what leads to no table in memory, and frees what holds no entry (after a take-over).
    func dropLeftovers(arena: inout TableArena)
}

extension LookupTables {
    func rehost(_ device: MachineDevice, to host: TranslationStage) throws(Errno) { throw .EINVAL }
}

extension UnitHardware {
    /// The tables of this unit, in the mode that its registers ask for.
    func lookupTables(memory: MemoryView) -> any LookupTables {
        switch hardware {
        case .vtd(let unit):
            unit.registers.rootTableAddress.mode == .scalable
                ? VTDScalableTables(self, memory: memory) : VTDLegacyTables(self, memory: memory)
        case .amd: AMDDeviceTables(self, memory: memory)
        case .smmu: SMMUStreamTables(self, memory: memory)
        }
    }

    /// The tables that a kernel makes for this unit: in scalable mode where it has one.
    func freshLookupTables(memory: MemoryView) -> any LookupTables {
        switch hardware {
        case .vtd(let unit):
            unit.registers.extendedCapability.scalableMode
                ? VTDScalableTables(self, memory: memory) : VTDLegacyTables(self, memory: memory)
        case .amd: AMDDeviceTables(self, memory: memory)
        case .smmu: SMMUStreamTables(self, memory: memory)
        }
    }

    /// True when this unit's walks understand tables of `stage` as they were built.
    func canWalk(_ stage: TranslationStage) -> Bool {
        let wanted = stage.configuration
        guard
            let own = hardware.configuration(
                format: wanted.format, topLevel: wanted.topLevel, addressBits: wanted.addressBits,
                signExtended: wanted.signExtended)
        else { return false }
        return wanted.addressBits <= own.addressBits && wanted.hostAddressWidth <= own.hostAddressWidth
            && (!wanted.supports2M || own.supports2M) && (!wanted.supports1G || own.supports1G)
            && (!wanted.snoopControl || own.snoopControl) && wanted.encryptionBit == own.encryptionBit
    }
}
