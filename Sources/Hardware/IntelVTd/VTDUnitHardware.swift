import IOMMUModel
import PageTables

/// One VT-d unit, in legacy or scalable mode, as the hardware sees it: registers in, and from the root register down
/// everything in memory. Holds no cache; an IOTLB is the engine's.
///
/// Beyond the specification's choice (RTADDR.TTM) nothing selects the mode. Not modelled: device-TLB and page requests,
/// execute requests, supervisor requests (one by RID_PRIV is walked as a user's), and the faults of walks that do not
/// snoop (7Ch, 90h).
public struct VTDUnitHardware: Sendable, Hashable {
    /// What everything below is decided by; a change takes effect with the next call.
    public var registers: VTDRegisters
    /// Walks of legacy mode set accessed and dirty bits, which real hardware does not do; and the second stages that an
    /// engine builds for scalable mode are meant to have them (``configuration(format:topLevel:signExtended:)``).
    /// Whether a walk of scalable mode sets them is said by the PASID-table entry (SSADE), for first stages always yes.
    public var updatesAccessedDirty: Bool

    /// Both as given; nothing is checked.
    public init(registers: VTDRegisters, updatesAccessedDirty: Bool = false) {
        self.registers = registers
        self.updatesAccessedDirty = updatesAccessedDirty
    }

    /// Registers by name, as a unit's record holds them: see ``VTDRegisters/init(hostAddressWidth:named:)``.
    /// `encryptionBit` is of no use to VT-d.
    public init(
        hostAddressWidth: Int, encryptionBit: Int?, updatesAccessedDirty: Bool, named value: (String) -> UInt64?
    ) throws(IOMMUHardware.MissingRegister) {
        do throws(VTDRegisters.Missing) {
            self.init(
                registers: try VTDRegisters(hostAddressWidth: hostAddressWidth, named: value),
                updatesAccessedDirty: updatesAccessedDirty)
        } catch {
            throw IOMMUHardware.MissingRegister(name: error.name)
        }
    }

    /// The registers that decide how the unit reads its structures, as they are now, by their ``VTDRegisters/Name``.
    public var namedRegisters: [(name: String, value: UInt64)] {
        [
            (VTDRegisters.Name.rootTableAddress, registers.rootTableAddress.rawValue),
            (VTDRegisters.Name.capability, registers.capability.rawValue),
            (VTDRegisters.Name.extendedCapability, registers.extendedCapability.rawValue),
            (VTDRegisters.Name.globalStatus, registers.globalStatus.rawValue),
        ]
    }

    /// The interrupt address range: an untagged request to it is an interrupt and never walks (VT-d 3.15). A request
    /// with a PASID is translated like any other.
    public static let interruptWindow = IOMMUHardware.interruptWindow

    /// GSTS.TES: off, every request passes through.
    public var translationEnabled: Bool { registers.globalStatus.translationEnabled }

    /// RTADDR.TTM is 1.
    var isScalable: Bool { registers.rootTableAddress.mode == .scalable }

    /// What the unit makes of the requests of `rid` with `pasid`, from the root register on.
    ///
    /// As the hardware answers a request, so also: a request with a PASID faults in legacy mode (31h), where PASIDE is
    /// 0 (45h), where the PASID is RID_PASID's (48h). O(1), at most five reads.
    ///
    /// - Parameter asListed: go on, as ``listing(memory:budget:)`` does, where the device may not use the PASID (PASIDE is 0,
    /// or
    ///   it has more bits than ECAP.PSS says).
    public func resolve(_ rid: UInt16, pasid: PASID?, memory: MemoryView, asListed: Bool = false) -> Resolution {
        var steps: [LookupStep] = []
        return lookup(rid, pasid: pasid, memory: memory, tracing: false, asListed: asListed, &steps)
    }

    /// The entries that the hardware reads for `rid` and `pasid`, root first, up to the one at which it stops.
    ///
    /// - Parameter asListed: as for ``resolve(_:pasid:memory:asListed:)``.
    public func steps(_ rid: UInt16, pasid: PASID?, memory: MemoryView, asListed: Bool = false) -> [LookupStep] {
        var steps: [LookupStep] = []
        _ = lookup(rid, pasid: pasid, memory: memory, tracing: true, asListed: asListed, &steps)
        return steps
    }

    private func lookup(
        _ rid: UInt16, pasid: PASID?, memory: MemoryView, tracing: Bool, asListed: Bool = false,
        _ steps: inout [LookupStep]
    ) -> Resolution {
        switch registers.rootTableAddress.mode {
        case .legacy where pasid != nil: fault(.pasidInLegacyMode, at: nil)
        case .legacy: legacyLookup(rid, memory: memory, tracing: tracing, &steps)
        case .scalable where registers.extendedCapability.scalableMode:
            scalableLookup(rid, pasid: pasid, memory: memory, tracing: tracing, asListed: asListed, &steps)
        case .scalable, .reserved: fault(.rootTableAddressInvalid, at: nil)
        case .abortDMA: fault(.dmaAborted, at: nil, suppressed: true)
        }
    }

    /// A resolution that refuses; `suppressed`: an entry on the way has FPD set.
    func fault(_ reason: VTDFaultReason, at address: PhysicalAddress?, suppressed: Bool = false) -> Resolution {
        .fault(HardwareFault(.vtd(reason), at: address, isRecorded: !suppressed))
    }

    /// One request of `rid`, beginning at the root register.
    ///
    /// Nothing but accessed and dirty bits is written.
    public func translate(
        _ rid: UInt16, pasid: PASID?, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome {
        if pasid == nil, Self.interruptWindow.contains(iova) { return .interrupt }
        guard translationEnabled else { return .untranslated(PhysicalAddress(iova.rawValue), context: nil) }
        if registers.rootTableAddress.mode == .abortDMA { return .aborted }
        switch resolve(rid, pasid: pasid, memory: memory) {
        case .fault(let fault): return .fault(fault)
        case .absent(let page): return .unknown(page: page)
        case .untranslated: return .untranslated(PhysicalAddress(iova.rawValue), context: nil)
        case .context(let context): return translate(context, iova: iova, access: access, memory: memory)
        }
    }
}
