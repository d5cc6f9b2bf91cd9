import IOMMUModel
import PageTables

extension VTDUnitHardware {
    /// The part of ``translate(_:pasid:iova:access:memory:)`` after the lookup: for a caller that caches contexts.
    ///
    /// An address that comes out in the interrupt address range is refused (Eh, 87h): only untagged requests that go
    /// there from the start are interrupts.
    public func translate(
        _ context: RequestContext, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome {
        func fault(_ reason: VTDFaultReason, at address: PhysicalAddress?) -> RequestOutcome {
            .fault(HardwareFault(.vtd(reason), at: address, isRecorded: context.recordsFaults))
        }
        switch context.path {
        case .passThrough:
            let width = registers.hostAddressWidth
            guard width >= 64 || iova.rawValue >> UInt64(width) == 0 else {
                return fault(isScalable ? .addressBeyondHostWidth : .addressBeyondWidth, at: nil)
            }
            guard !Self.interruptWindow.contains(iova) else {
                return fault(isScalable ? .scalableInterruptOutput : .interruptOutput, at: nil)
            }
            return .untranslated(PhysicalAddress(iova.rawValue), context: context)
        case .single(let stage):
            switch Walker.translate(stage, memory: memory, iova: iova, access: access) {
            case .translated(let translation) where Self.isInterrupt(translation.pa):
                return fault(isScalable ? .scalableInterruptOutput : .interruptOutput, at: translation.entryAddress)
            case .translated(let translation): return .translated(translation, context: context)
            case .absent(let page, _): return .unknown(page: page)
            case .fault(let reason, _, let address):
                return fault(self.reason(reason, of: stage, memory: memory, iova: iova, access: access), at: address)
            }
        case .nested(let first, let second):
            return nested(first, second, context, iova: iova, access: access, memory: memory)
        }
    }

    static func isInterrupt(_ pa: PhysicalAddress) -> Bool { pa.rawValue >> 20 == 0xfee }

    /// The reason that the hardware gives for the fault of a walk through one stage.
    private func reason(
        _ fault: TranslationFault, of stage: TranslationStage, memory: MemoryView, iova: IOVA, access: Access
    ) -> VTDFaultReason {
        guard isScalable else { return VTDFaultReason(fault, access: access) }
        guard stage.configuration.format == .vtdSecondStage else { return VTDFaultReason(firstStage: fault) }
        if fault == .permissionRead || fault == .permissionWrite,
            isWithoutAnyRight(stage, memory: memory, iova: iova, butFor: access)
        {
            return .secondStageNotPresent
        }
        return VTDFaultReason(secondStage: fault)
    }

    /// True when the other access fails as well: no right is left on the whole way (SSS.2).
    func isWithoutAnyRight(
        _ stage: TranslationStage, memory: MemoryView, iova: IOVA, butFor access: Access
    ) -> Bool {
        var stage = stage
        stage.configuration.accessedDirty = false
        let other: Access = access == .write ? .read : .write
        if case .fault = Walker.translate(stage, memory: memory, iova: iova, access: other) { return true }
        return false
    }
}
