import IOMMUModel
import PageTables

/// One VT-d unit in legacy mode as the hardware sees it: registers in, and from the root register down everything in
/// memory. Holds no cache; an IOTLB is the engine's.
public struct VTDUnitHardware: Sendable, Hashable {
    /// What everything below is decided by; a change takes effect with the next call.
    public var registers: VTDRegisters
    /// Walks set accessed and dirty bits. (Real hardware does so for second-stage tables in scalable mode only; a
    /// simulated unit may in legacy mode too.)
    public var updatesAccessedDirty: Bool

    /// Both as given; nothing is checked.
    public init(registers: VTDRegisters, updatesAccessedDirty: Bool = false) {
        self.registers = registers
        self.updatesAccessedDirty = updatesAccessedDirty
    }

    /// The interrupt address range: a request to it is an interrupt and never walks (VT-d 3.14).
    public static let interruptWindow = IOVARange(first: IOVA(0xfee0_0000), last: IOVA(0xfeef_ffff))!

    /// The shape of second-stage tables of `width` on this unit; `nil` when CAP.SAGAW lacks it.
    ///
    /// The input address has as many bits as the smaller of `width` and CAP.MGAW.
    public func configuration(width: VTDAddressWidth) -> PageTableConfiguration? {
        guard registers.capability.supports(width) else { return nil }
        return PageTableConfiguration(
            format: .vtdSecondStage, topLevel: width.topLevel,
            addressBits: min(width.bits, registers.capability.maximumGuestAddressWidth),
            hostAddressWidth: registers.hostAddressWidth, supports2M: registers.capability.supports2M,
            supports1G: registers.capability.supports1G, snoopControl: registers.extendedCapability.snoopControl,
            deviceTLB: registers.extendedCapability.deviceTLB, accessedDirty: updatesAccessedDirty)
    }

    /// What a present context entry means, by the rules of VT-d 9.3 in the order of the hardware's checks: reserved
    /// bits (Bh), then AW, then TT (3h).
    public func interpret(_ entry: VTDContextEntry) throws(VTDFaultReason) -> VTDContext.Translation {
        guard entry.isPresent else { throw .contextNotPresent }
        guard !entry.hasViolation(hostAddressWidth: registers.hostAddressWidth) else {
            throw .contextReserved
        }
        guard let width = entry.addressWidth, let configuration = configuration(width: width) else {
            throw .contextInvalid
        }
        switch entry.translationType {
        case .untranslated: return .tables(configuration, root: entry.root)
        case .deviceTLB where registers.extendedCapability.deviceTLB:
            return .tables(configuration, root: entry.root)
        case .passThrough where registers.extendedCapability.passThrough: return .passThrough
        case .deviceTLB, .passThrough, .reserved: throw .contextInvalid
        }
    }

    /// The context of requester `rid`, from the root register on. RTADDR.TTM must be legacy or the answer is a fault.
    public func resolve(_ rid: UInt16, memory: MemoryView) -> VTDResolution {
        guard registers.rootTableAddress.mode == .legacy else {
            return .fault(VTDContextFault(.rootTableAddressInvalid, at: nil))
        }
        let table = registers.rootTableAddress.rootTable
        guard let rootAddress = VTDLookupIndex.rootEntry(rid, in: table),
            let roots = memory.page(at: table)
        else { return .absent(page: table) }
        let bus = VTDLookupIndex.root(rid)
        let root = VTDRootEntry(low: roots[bus &* 2], high: roots[bus &* 2 &+ 1])
        guard root.isPresent else { return .fault(VTDContextFault(.rootNotPresent, at: rootAddress)) }
        guard !root.hasViolation(hostAddressWidth: registers.hostAddressWidth) else {
            return .fault(VTDContextFault(.rootReserved, at: rootAddress))
        }
        guard let address = VTDLookupIndex.contextEntry(rid, in: root.contextTable),
            let contexts = memory.page(at: root.contextTable)
        else { return .absent(page: root.contextTable) }
        let devfn = VTDLookupIndex.context(rid)
        let entry = VTDContextEntry(low: contexts[devfn &* 2], high: contexts[devfn &* 2 &+ 1])
        do {
            let translation = try interpret(entry)
            return .context(VTDContext(entry: entry, entryAddress: address, translation: translation))
        } catch {
            return .fault(VTDContextFault(error, at: address, isRecorded: !entry.faultProcessingDisabled))
        }
    }

    /// One request of `rid`, beginning at the root register.
    ///
    /// A request with a PASID faults in legacy mode. Nothing but accessed and dirty bits is written, and these only
    /// with ``updatesAccessedDirty``.
    public func translate(
        _ rid: UInt16, pasid: PASID? = nil, iova: IOVA, access: Access, memory: MemoryView
    ) -> VTDOutcome {
        if pasid == nil, Self.interruptWindow.contains(iova) { return .interrupt }
        guard registers.globalStatus.translationEnabled else {
            return .untranslated(PhysicalAddress(iova.rawValue), context: nil)
        }
        if registers.rootTableAddress.mode == .abortDMA { return .aborted }
        if pasid != nil, registers.rootTableAddress.mode == .legacy {
            return .fault(VTDContextFault(.pasidInLegacyMode, at: nil))
        }
        switch resolve(rid, memory: memory) {
        case .fault(let fault): return .fault(fault)
        case .absent(let page): return .unknown(page: page)
        case .context(let context):
            return translate(context, iova: iova, access: access, memory: memory)
        }
    }

    /// The part of ``translate(_:pasid:iova:access:memory:)`` after the context entry: for a caller that caches contexts.
    public func translate(
        _ context: VTDContext, iova: IOVA, access: Access, memory: MemoryView
    ) -> VTDOutcome {
        switch context.translation {
        case .passThrough:
            return .untranslated(PhysicalAddress(iova.rawValue), context: context)
        case .tables(let configuration, let root):
            switch Walker.translate(configuration, root: root, memory: memory, iova: iova, access: access) {
            case .translated(let translation): return .translated(translation, context: context)
            case .absent(let page, _): return .unknown(page: page)
            case .fault(let fault, _, let address):
                return .fault(
                    VTDContextFault(
                        VTDFaultReason(fault, access: access), at: address,
                        isRecorded: !context.entry.faultProcessingDisabled))
            }
        }
    }
}
