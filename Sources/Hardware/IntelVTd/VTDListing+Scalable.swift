import IOMMUModel
import PageTables

extension VTDListing {
    mutating func readScalable() {
        guard let words = rootWords() else { return }
        use(listing.root, .vtdRoot, from: listing.root, at: listing.root, rid: 0, "root table")
        for bus in 0..<256 {
            for index in 0..<2 where !isExhausted {
                readHalf(VTDScalableRootEntry.Half(words[bus * 2 + index]), bus: bus, index: index)
            }
        }
    }

    private mutating func readHalf(_ half: VTDScalableRootEntry.Half, bus: Int, index: Int) {
        guard half.word != 0 else { return }
        let firstRID = UInt16(bus) << 8 | UInt16(index) << 7
        let entry = PhysicalAddress(listing.root.rawValue | UInt64(bus) << 4)
        let name = "\(index == 0 ? "lower" : "upper") half of bus \(Self.bus(bus))"
        let violations = half.violations(word: index, hostAddressWidth: hostAddressWidth)
        reportReserved(
            .vtdRootReserved, violations, isPresent: half.isPresent, entry: entry, rid: firstRID,
            "root entry of the \(name)")
        guard half.isPresent else { return }
        let address = Self.word(index, of: entry)
        let table = half.contextTable
        use(table, .vtdScalableContext, from: address, at: address, rid: firstRID, "context table")
        guard let words = memory.page(at: table) else {
            report(
                .vtdContextTableUnreachable, at: address, rid: firstRID, absentPage: table,
                "context table \(table) of the \(name) is not in memory")
            return
        }
        note(table, .vtdScalableContext)
        let fault = violations.isEmpty ? nil : unit.fault(.scalableRootReserved, at: entry)
        for devfn in 0..<128 where !isExhausted {
            readContext(
                VTDScalableContextEntry(words + devfn * 4), rid: firstRID | UInt16(devfn),
                at: PhysicalAddress(table.rawValue | UInt64(devfn) << 5), rootFault: fault)
        }
    }

    private mutating func readContext(
        _ context: VTDScalableContextEntry, rid: UInt16, at address: PhysicalAddress, rootFault: Resolution?
    ) {
        guard !context.isEmpty else { return }
        guard context.isPresent else {
            reportNotPresent(
                .vtdContextReserved, context.words, ignoresFPD: true, entry: address, rid: rid, "context entry")
            return
        }
        guard takeDevice(at: address, rid: rid) else { return }
        reportReserved(
            .vtdContextReserved, reserved.violations(context), isPresent: true, entry: address, rid: rid,
            "context entry")
        if context.allowsPageRequests, !context.allowsDeviceTLB {
            report(
                .vtdContextTranslationType, at: address, rid: rid,
                "context entry enables page requests (PRE) without a device-TLB (DTE): every access faults")
        }
        let untagged = unit.untaggedPASID(context)
        if !context.reaches(untagged) {
            report(
                .vtdContextTranslationType, at: Self.word(1, of: address), rid: rid,
                "RID_PASID \(untagged) is beyond the directory's \(context.directoryEntryCount) entries: "
                    + "every access faults"
            )
        }
        let resolution = unit.resolve(rid, pasid: nil, memory: memory)
        // A device may have PASIDs and no entry for its untagged requests: that is how these are blocked.
        if !resolution.isEmptyEntry {
            listing.entries.append(
                .init(
                    rid: rid, pasid: nil, entryAddress: resolution.entryAddress ?? address,
                    deviceEntryAddress: address, resolution: resolution))
        }
        if case .fault(let fault) = resolution, fault.reason == .vtd(.supervisorNotEnabled),
            let entry = fault.entryAddress
        {
            report(
                .vtdPASIDTranslationType, at: Self.word(2, of: entry), rid: rid,
                "untagged requests are privileged (RID_PRIV), but SRE is 0: every access faults")
        }
        var device = Device(
            rid: rid, context: context, address: address, untagged: untagged,
            refusal: rootFault
                ?? unit.refusal(of: context, reserved).map {
                    unit.fault($0, at: address, suppressed: context.faultProcessingDisabled)
                })
        readDirectory(&device)
        if device.hasTaggedEntries, !context.pasidEnabled {
            report(
                .vtdPASIDNotEnabled, at: address, rid: rid,
                "PASID-table entries besides RID_PASID's \(untagged) are present, but PASIDE is 0")
        }
    }

    /// What a context entry says about the entries below it.
    struct Device {
        let rid: UInt16
        let context: VTDScalableContextEntry
        /// Of the context entry.
        let address: PhysicalAddress
        /// The PASID of untagged requests.
        let untagged: PASID
        /// What root or context entry answer to every request; `nil` when they let it pass.
        let refusal: Resolution?
        /// A PASID other than ``untagged`` is present.
        var hasTaggedEntries = false
    }
}

extension Resolution {
    /// Neither a directory entry nor a PASID-table entry is there.
    fileprivate var isEmptyEntry: Bool {
        guard case .fault(let fault) = self else { return false }
        return [.vtd(.pasidDirectoryNotPresent), .vtd(.pasidNotPresent)].contains(fault.reason)
    }

    /// Of the first word of the entry that decides, when one does.
    fileprivate var entryAddress: PhysicalAddress? {
        switch self {
        case .context(let context): context.entryAddress
        case .fault(let fault): fault.entryAddress
        case .untranslated, .absent: nil
        }
    }
}
