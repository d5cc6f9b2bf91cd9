import IOMMUModel
import PageTables

/// Legacy mode in the terms of its own structures, for callers that know no other: to go when they have moved to
/// ``IOMMUHardware``.
extension VTDUnitHardware {
    /// What a present context entry means, as ``resolve(_:pasid:memory:)`` decides it.
    public func interpret(_ entry: VTDContextEntry) throws(VTDFaultReason) -> VTDContext.Translation {
        switch try path(of: entry) {
        case .passThrough: .passThrough
        case .single(let stage), .nested(let stage, _): .tables(stage.configuration, root: stage.root)
        }
    }

    /// The context of requester `rid`, from the root register on. RTADDR.TTM must be legacy or the answer is a fault.
    public func resolve(_ rid: UInt16, memory: MemoryView) -> VTDResolution {
        guard registers.rootTableAddress.mode == .legacy else {
            return .fault(VTDContextFault(.rootTableAddressInvalid, at: nil))
        }
        switch resolve(rid, pasid: nil, memory: memory) {
        case .fault(let fault): return .fault(VTDContextFault(fault))
        case .absent(let page): return .absent(page: page)
        case .untranslated: return .absent(page: registers.rootTableAddress.rootTable)
        case .context(let context):
            guard let found = VTDContext(context, memory: memory) else {
                return .absent(page: context.entryAddress.pageBase)
            }
            return .context(found)
        }
    }

    /// One request of `rid` to a unit in legacy mode, beginning at the root register.
    public func legacyTranslate(
        _ rid: UInt16, pasid: PASID? = nil, iova: IOVA, access: Access, memory: MemoryView
    ) -> VTDOutcome {
        let isRead = registers.rootTableAddress.mode != .scalable
        guard isRead || !translationEnabled || (pasid == nil && Self.interruptWindow.contains(iova)) else {
            return .fault(VTDContextFault(.rootTableAddressInvalid, at: nil))
        }
        let outcome: RequestOutcome = translate(rid, pasid: pasid, iova: iova, access: access, memory: memory)
        switch outcome {
        case .translated(let translation, let context):
            guard let context = VTDContext(context, memory: memory) else {
                return .unknown(page: context.entryAddress.pageBase)
            }
            return .translated(translation, context: context)
        case .untranslated(let address, let context):
            return .untranslated(address, context: context.flatMap { VTDContext($0, memory: memory) })
        case .interrupt: return .interrupt
        case .fault(let fault): return .fault(VTDContextFault(fault))
        case .aborted: return .aborted
        case .unknown(let page): return .unknown(page: page)
        }
    }
}

extension VTDContext {
    /// `nil` when memory does not hold the entry.
    fileprivate init?(_ context: RequestContext, memory: MemoryView) {
        guard let second = context.entryAddress.offset(by: 8), let low = memory.word(at: context.entryAddress),
            let high = memory.word(at: second)
        else { return nil }
        self.init(
            entry: VTDContextEntry(low: low, high: high), entryAddress: context.entryAddress,
            translation: context.path.host.map { .tables($0.configuration, root: $0.root) } ?? .passThrough)
    }
}

extension VTDContextFault {
    fileprivate init(_ fault: HardwareFault) {
        guard case .vtd(let reason) = fault.reason else { preconditionFailure("a VT-d unit answers in its own codes") }
        self.init(reason, at: fault.entryAddress, isRecorded: fault.isRecorded)
    }
}
