import Hardware
import IOMMUModel
import PageTables

extension RecordedMachine {
    /// Follows one request through the recorded pages; `nil` when no unit serves the device's segment. Writes nothing.
    ///
    /// A PASID whose entry is there although the device may not use it (VT-d: PASIDE is 0) is followed all the same, as
    /// ``forEachMapping(device:pasid:budget:total:_:)`` tells its mappings; a note at the context entry says what the
    /// hardware answers.
    public func trace(
        device: RequesterID, pasid: PASID? = nil, iova: IOVA, access: Access = .read
    ) -> TranslationTrace? {
        guard let unit = unit(of: device) else { return nil }
        var trace = TranslationTrace(
            device: device, pasid: pasid, iova: iova, access: access, steps: [], ending: .interrupt)
        guard let hardware = unit.hardware else {
            let why = unit.missingRegister.map { "register \($0) is not recorded" }
            trace.ending = .unreadable(why ?? "units of kind \(unit.record.kind.rawValue) are not read")
            return trace
        }
        let view = memory.view
        var resolution = hardware.resolve(device.rid, pasid: pasid, memory: view)
        var outcome = hardware.observe(device.rid, pasid: pasid, iova: iova, access: access, memory: view)
        var refusal: FaultReason?
        if case .fault(let fault) = outcome, case .fault = resolution,
            case .context(let listed) = hardware.resolve(device.rid, pasid: pasid, memory: view, asListed: true)
        {
            refusal = fault.reason
            resolution = .context(listed)
            var quiet = listed
            quiet.path = listed.path.withoutMarking
            outcome = hardware.translate(quiet, iova: iova, access: access, memory: view)
        }
        trace.ending = Self.ending(outcome)
        switch outcome {
        case .interrupt, .aborted: return trace
        case .untranslated(_, nil) where !hardware.translationEnabled: return trace
        default: break
        }
        let entries = hardware.steps(device.rid, pasid: pasid, memory: view, asListed: refusal != nil)
        trace.steps = entries.map { TranslationTrace.Step($0, device: device) }
        if let refusal, let context = entries.firstIndex(where: { $0.layout == VTDScalableContextEntry.layout }) {
            trace.steps[context].fields.append(.init("note", "\(refusal) (followed all the same)"))
        }
        if case .context(let context) = resolution {
            trace.steps += tableSteps(context.path, iova: iova, access: access)
        }
        return trace
    }

    private static func ending(_ outcome: RequestOutcome) -> TranslationTrace.Ending {
        switch outcome {
        case .interrupt: return .interrupt
        case .untranslated(let pa, let context):
            guard case .passThrough(let protection) = context?.path else {
                return .address(pa, protection: .readWrite, pageSizeLog2: nil)
            }
            return .address(pa, protection: protection, pageSizeLog2: nil)
        case .translated(let translation, _):
            return .address(
                translation.pa, protection: translation.protection, pageSizeLog2: translation.pageSizeLog2)
        case .aborted: return .aborted
        case .unknown(let page): return .unknown(page: page)
        case .fault(let fault): return .fault(fault.reason, entryAddress: fault.entryAddress)
        }
    }

    private func tableSteps(_ path: TranslationPath, iova: IOVA, access: Access) -> [TranslationTrace.Step] {
        let view = memory.view
        switch path {
        case .passThrough: return []
        case .single(let stage):
            let format = stage.configuration.format
            return Walker.trace(stage, memory: view, iova: iova, access: access).steps.map {
                TranslationTrace.Step(.table(level: $0.level), format, $0.entryAddress, $0.entry, $0.protection)
            }
        case .nested(let first, let second):
            let walk = Walker.trace(first: first, second: second, memory: view, iova: iova, access: access)
            let guest = walk.steps.map { step in
                var told = TranslationTrace.Step(
                    .guestTable(level: step.entry.level), first.configuration.format, step.entryAddress, step.entry,
                    step.protection)
                // The host's walk to the table is one statement: where the guest has the entry.
                told.fields.insert(.init("guest-address", step.guestEntry), at: 0)
                return told
            }
            let host = walk.last?.steps.map {
                TranslationTrace.Step(
                    .hostTable(level: $0.level), second.configuration.format, $0.entryAddress, $0.entry, $0.protection)
            }
            return guest + (host ?? [])
        }
    }
}

extension TranslationTrace.Step {
    /// An entry of a page table; `protection`: granted so far.
    fileprivate init(
        _ kind: Kind, _ format: PageTableFormatKind, _ address: PhysicalAddress, _ entry: PageTableEntry,
        _ protection: Protection
    ) {
        var fields: [TranslationTrace.Field] = []
        switch entry.kind {
        case .empty: fields.append(.init("empty", entry.nonZeroNotPresent ? "not present, yet not zero" : "zero"))
        case .table(let page, _):
            fields.append(.init("table", page))
            if let first = entry.skippedLevels.first, let last = entry.skippedLevels.last {
                fields.append(.init("skips-levels", first == last ? "\(first)" : "\(first)-\(last)"))
            }
        case .leaf(let pa, let size):
            fields.append(.init("page", pa))
            fields.append(.init("size", TranslationTrace.Ending.bytes(log2: size)))
            if entry.itemCount > 1 { fields.append(.init("items", entry.itemCount)) }
        case .invalid(let fault): fields.append(.init("invalid", fault.rawValue))
        }
        if !entry.protection.isEmpty {
            fields.append(.init("grants", entry.protection))
            fields.append(.init("so-far", protection))
        }
        let isPresent: Bool =
            switch entry.kind {
            case .table, .leaf: true
            case .empty, .invalid: false
            }
        if isPresent, !entry.isUser { fields.append(.init("U/S", 0)) }
        if isPresent, !entry.isExecutable { fields.append(.init(format == .armv8Stage2 ? "XN" : "XD", 1)) }
        if entry.accessed { fields.append(.init("A", 1)) }
        if entry.dirty { fields.append(.init("D", 1)) }
        if entry.snoop {
            switch format {
            case .vtdSecondStage: fields.append(.init("SNP", 1))
            case .amdV1, .x86_64: fields.append(.init("FC", 1))
            case .armv8Stage2: fields.append(.init("MemAttr", 15))
            }
        }
        if entry.isEncrypted { fields.append(.init("C-bit", 1)) }
        let lints = entry.lints.subtracting(.nonZeroNotPresent).names
        if !lints.isEmpty { fields.append(.init("suspicious", lints.joined(separator: ","))) }
        self.init(kind: kind, address: address, words: [entry.word], fields: fields)
    }
}
