import IOMMUModel
import PageTables

extension VTDUnitHardware {
    /// A request through a guest's tables and the host's (VT-d 3.8).
    func nested(
        _ first: TranslationStage, _ second: TranslationStage, _ context: RequestContext, iova: IOVA, access: Access,
        memory: MemoryView
    ) -> RequestOutcome {
        func fault(_ reason: VTDFaultReason, at address: PhysicalAddress?) -> RequestOutcome {
            .fault(HardwareFault(.vtd(reason), at: address, isRecorded: context.recordsFaults))
        }
        let walk = Walker.translate(first: first, second: second, memory: memory, iova: iova, access: access)
        switch walk.result {
        case .translated(let translation) where Self.isInterrupt(translation.pa):
            return fault(.scalableInterruptOutput, at: translation.entryAddress)
        case .translated(let translation): return .translated(translation, context: context)
        case .absent(let page, _): return .unknown(page: page)
        case .fault(let reason, _, let address):
            guard walk.stage == .second else { return fault(VTDFaultReason(firstStage: reason), at: address) }
            let entries = Walker.trace(first: first, second: second, memory: memory, iova: iova, access: access).steps
            return fault(
                secondStageReason(reason, second, entries, at: walk.guestAddress, access: access, memory: memory),
                at: address)
        }
    }

    /// Why the second stage refuses what the first one asked for: to read one of its tables, to mark one of its
    /// entries, or the access itself. `entries` are those of the first stage that could be read.
    private func secondStageReason(
        _ fault: TranslationFault, _ second: TranslationStage, _ entries: [NestedTrace.Step],
        at guest: PhysicalAddress?, access: Access, memory: MemoryView
    ) -> VTDFaultReason {
        // In a nested walk every address for the second stage comes from an entry of the first.
        if fault == .vaOutOfRange { return .guestAddressBeyondWidth }
        if fault == .reservedBits || fault == .notPresent { return VTDFaultReason(secondStage: fault) }
        let isMark = fault == .permissionWrite && (access != .write || entries.contains { $0.guestEntry == guest })
        var needed: Access = isMark ? .write : access
        var reason: VTDFaultReason = isMark ? .firstStageNotWritable : VTDFaultReason(secondStage: fault)
        if !isMark, !(entries.last?.isLeaf ?? false) {
            needed = .read
            reason = entries.isEmpty ? .firstStageRootNotReadable : .firstStageNotReadable
        }
        if let guest,
            isWithoutAnyRight(second, memory: memory, iova: IOVA(guest.rawValue), butFor: needed)
        {
            return .secondStageNotPresent
        }
        return reason
    }
}

extension NestedTrace.Step {
    fileprivate var isLeaf: Bool {
        if case .leaf = entry.kind { true } else { false }
    }
}
