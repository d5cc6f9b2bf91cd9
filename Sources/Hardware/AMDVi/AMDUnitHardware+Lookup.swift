import IOMMUModel
import PageTables

/// From a device to a context.
extension AMDUnitHardware {
    /// The second step of a lookup: guest tables by the GCR3 table, or the host's way.
    func resolve(_ device: AMDDevice, pasid: PASID?, memory: MemoryView) -> Resolution {
        if let guest = device.guest, pasid != nil || guest.servesUntagged {
            return resolve(device, guest, pasid: pasid ?? .zero, memory: memory) { _, _ in }
        }
        guard pasid == nil else {
            let reason = AMDFaultReason(.pasidWithoutGuest, flags: .guest)
            return .fault(HardwareFault(.amd(reason), at: device.address))
        }
        return .context(device.hostContext)
    }

    /// The lookup of `pasid` in a GCR3 table; `visit` sees every entry that is read, root first.
    func resolve(
        _ device: AMDDevice, _ guest: AMDDevice.Guest, pasid: PASID, memory: MemoryView,
        visit: (AMDGCR3Entry, PhysicalAddress) -> Void
    ) -> Resolution {
        guard AMDLookupIndex.gcr3Reaches(pasid, levels: guest.levels), isInWidth(pasid) else {
            return .fault(device.pageFault(.pasidBeyondTable, guest: true, at: device.address))
        }
        var table = guest.root
        var level = guest.levels
        while true {
            let index = AMDLookupIndex.gcr3(pasid, level: level)
            switch place(table, device, guest, memory: memory) {
            case .fault(let fault): return .fault(fault)
            case .absent(let page): return .absent(page: page)
            case .page(let page, let words):
                let entry = AMDGCR3Entry(rawValue: words[index])
                let address = PhysicalAddress(page.rawValue | UInt64(truncatingIfNeeded: index) &<< 3)
                visit(entry, address)
                if level == 1 || !entry.isValid || entry.hasViolation {
                    return resolution(device, guest, pasid: pasid, entry, at: address)
                }
                table = pointer(entry, guest)
                level &-= 1
            }
        }
    }

    /// True when EFR.PASmax has `pasid`.
    func isInWidth(_ pasid: PASID) -> Bool {
        pasid.rawValue &>> UInt32(truncatingIfNeeded: registers.features?.pasidBits ?? 20) == 0
    }

    /// What the last GCR3 entry read makes of a request: a context, or a fault when it is not valid.
    func resolution(
        _ device: AMDDevice, _ guest: AMDDevice.Guest, pasid: PASID, _ entry: AMDGCR3Entry, at address: PhysicalAddress
    ) -> Resolution {
        guard isInWidth(pasid) else {
            return .fault(device.pageFault(.pasidBeyondTable, guest: true, at: device.address))
        }
        guard entry.isValid else { return .fault(device.pageFault(.gcr3NotValid, guest: true, at: address)) }
        guard !entry.hasViolation else { return .fault(device.pageFault(.gcr3Reserved, guest: true, at: address)) }
        let nested = device.host != nil
        // The entry was interpreted: the unit has the levels.
        guard
            let configuration = guestConfiguration(
                topLevel: guest.topLevel, signExtended: pasid.rawValue != 0,
                protection: nested ? .readWrite : device.entry.protection, nested: nested)
        else { return .fault(device.pageFault(.guestMode, guest: true, at: device.address)) }
        let first = TranslationStage(
            configuration: configuration, root: nested ? entry.pointer : registers.withoutEncryption(entry.pointer))
        return .context(
            RequestContext(
                path: device.host.map { .nested(first: first, second: $0) } ?? .single(first),
                cacheTag: UInt32(device.entry.domainID), cachePASID: pasid, entryAddress: address,
                deviceEntryAddress: device.address, recordsFaults: device.recordsFaults,
                allowsDeviceTLB: device.entry.allowsDeviceTLB))
    }

    /// Where an entry above level 1 points.
    func pointer(_ entry: AMDGCR3Entry, _ guest: AMDDevice.Guest) -> PhysicalAddress {
        guest.isGuestAddressed ? entry.pointer : registers.withoutEncryption(entry.pointer)
    }

    /// The GCR3 table at `table`, an address of the guest or of the host as ``AMDDevice/Guest/isGuestAddressed`` says.
    func place(
        _ table: PhysicalAddress, _ device: AMDDevice, _ guest: AMDDevice.Guest, memory: MemoryView
    ) -> AMDTablePlace {
        var page = table
        if guest.isGuestAddressed, var host = device.host {
            // A lookup changes nothing in memory.
            host.configuration.accessedDirty = false
            switch Walker.translate(host, memory: memory, iova: IOVA(table.rawValue), access: .read) {
            case .translated(let translation): page = translation.pa
            case .absent(let missing, _): return .absent(page: missing)
            case .fault(_, _, let address):
                return .fault(device.pageFault(.gcr3Untranslated, guest: true, at: address))
            }
        }
        guard let words = memory.page(at: page) else { return .absent(page: page) }
        return .page(page, words)
    }

    /// The entries that the hardware reads for `rid` and `pasid`, from the device table on, up to the first that it
    /// stops at.
    public func steps(_ rid: UInt16, pasid: PASID?, memory: MemoryView) -> [LookupStep] {
        guard Int(rid) < registers.deviceTableBase.entryCount,
            let (entry, address) = deviceEntry(rid, memory: memory)
        else { return [] }
        var violations = entry.isValid ? entry.memoryViolations : []
        if entry.interruptMapValid { violations += entry.interruptViolations }
        var steps = [
            LookupStep(
                layout: AMDDeviceTableEntry.layout, address: address, words: entry.words, violations: violations)
        ]
        guard case .device(let device) = device(rid, memory: memory), let guest = device.guest,
            pasid != nil || guest.servesUntagged
        else { return steps }
        _ = resolve(device, guest, pasid: pasid ?? .zero, memory: memory) { entry, address in
            steps.append(
                LookupStep(
                    layout: AMDGCR3Entry.layout, address: address, words: [entry.rawValue],
                    violations: entry.isValid ? entry.violations : []))
        }
        return steps
    }
}

extension PASID {
    /// PASID 0.
    static let zero = PASID(0)!
}
