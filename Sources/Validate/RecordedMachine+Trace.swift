import Hardware
import IOMMUModel
import PageTables

extension RecordedMachine {
    /// Follows one request through the recorded pages; `nil` when no unit serves the device's segment. Writes nothing.
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
        let outcome = hardware.legacyTranslate(
            device.rid, pasid: pasid, iova: iova, access: access, memory: memory.view)
        switch outcome {
        case .interrupt:
            trace.ending = .interrupt
            return trace
        case .untranslated(let pa, nil):
            trace.ending = .address(pa, protection: .readWrite, pageSizeLog2: nil)
            return trace
        case .untranslated(let pa, .some):
            trace.ending = .address(pa, protection: .readWrite, pageSizeLog2: nil)
        case .translated(let translation, _):
            trace.ending = .address(
                translation.pa, protection: translation.protection, pageSizeLog2: translation.pageSizeLog2)
        case .aborted:
            trace.ending = .aborted
            return trace
        case .unknown(let page): trace.ending = .unknown(page: page)
        case .fault(let fault):
            if hardware.registers.rootTableAddress.mode == .scalable {
                trace.ending = .unreadable("scalable mode is not read")
            } else {
                trace.ending = .fault(fault.reason, entryAddress: fault.entryAddress)
            }
        }
        if hardware.registers.rootTableAddress.mode == .legacy, pasid == nil {
            trace.steps = lookupSteps(hardware, device.rid)
            if case .context(let context) = hardware.resolve(device.rid, memory: memory.view),
                case .tables(let configuration, let root) = context.translation
            {
                trace.steps += Walker.trace(
                    configuration, root: root, memory: memory.view, iova: iova, access: access
                ).steps.map(Self.step)
            }
        }
        return trace
    }

    /// The root and the context entry, as far as they are recorded and the hardware reads them.
    private func lookupSteps(_ hardware: VTDUnitHardware, _ rid: UInt16) -> [TranslationTrace.Step] {
        let table = hardware.registers.rootTableAddress.rootTable
        guard let rootAddress = VTDLookupIndex.rootEntry(rid, in: table), let rootWords = words(rootAddress)
        else { return [] }
        let root = VTDRootEntry(low: rootWords[0], high: rootWords[1])
        var steps = [
            TranslationTrace.Step(
                kind: .rootEntry, address: rootAddress, words: rootWords,
                fields: [.init("P", root.isPresent ? 1 : 0), .init("CTP", root.contextTable)]
                    + Self.violations(root.violations(hostAddressWidth: hardware.registers.hostAddressWidth)))
        ]
        guard root.isPresent, !root.hasViolation(hostAddressWidth: hardware.registers.hostAddressWidth),
            let address = VTDLookupIndex.contextEntry(rid, in: root.contextTable), let contextWords = words(address)
        else { return steps }
        let entry = VTDContextEntry(low: contextWords[0], high: contextWords[1])
        let width = entry.addressWidth.map { "\(entry.addressWidthCode) (\($0.bits) bits)" }
        steps.append(
            TranslationTrace.Step(
                kind: .contextEntry, address: address, words: contextWords,
                fields: [
                    .init("P", entry.isPresent ? 1 : 0), .init("TT", "\(entry.translationType)"),
                    .init("SSPTPTR", entry.root), .init("AW", width ?? "\(entry.addressWidthCode)"),
                    .init("DID", entry.domainID),
                ] + Self.violations(entry.violations(hostAddressWidth: hardware.registers.hostAddressWidth))))
        return steps
    }

    private func words(_ address: PhysicalAddress) -> [UInt64]? {
        guard let second = address.offset(by: 8), let low = memory.word(at: address), let high = memory.word(at: second)
        else { return nil }
        return [low, high]
    }

    private static func violations(_ ranges: [BitRange]) -> [TranslationTrace.Field] {
        ranges.map { TranslationTrace.Field("reserved", $0) }
    }

    private static func step(_ step: WalkTrace.Step) -> TranslationTrace.Step {
        var fields: [TranslationTrace.Field] = []
        switch step.entry.kind {
        case .empty: fields.append(.init("empty", step.entry.nonZeroNotPresent ? "not present, yet not zero" : "zero"))
        case .table(let page, _): fields.append(.init("table", page))
        case .leaf(let pa, let size):
            fields.append(.init("page", pa))
            fields.append(.init("size", TranslationTrace.Ending.bytes(log2: size)))
        case .invalid(let fault): fields.append(.init("invalid", fault.rawValue))
        }
        if !step.entry.protection.isEmpty {
            fields.append(.init("grants", step.entry.protection))
            fields.append(.init("so-far", step.protection))
        }
        if step.entry.accessed { fields.append(.init("A", 1)) }
        if step.entry.dirty { fields.append(.init("D", 1)) }
        if step.entry.snoop { fields.append(.init("SNP", 1)) }
        return TranslationTrace.Step(
            kind: .table(level: step.level), address: step.entryAddress, words: [step.word], fields: fields)
    }
}
