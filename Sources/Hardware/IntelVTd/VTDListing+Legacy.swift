import IOMMUModel
import PageTables

extension VTDListing {
    mutating func readLegacy() {
        guard let words = rootWords() else { return }
        var firstBus: [PhysicalAddress: Int] = [:]
        for bus in 0..<256 where !isExhausted {
            let root = VTDRootEntry(low: words[bus * 2], high: words[bus * 2 + 1])
            guard !root.isZero else { continue }
            let rid = UInt16(bus) << 8
            let address = PhysicalAddress(listing.root.rawValue | UInt64(bus) << 4)
            let violations = root.violations(hostAddressWidth: hostAddressWidth)
            reportReserved(
                .vtdRootReserved, violations, isPresent: root.isPresent, entry: address, rid: rid,
                "root entry of bus \(Self.bus(bus))")
            guard root.isPresent else { continue }
            let table = root.contextTable
            let contexts = memory.page(at: table)
            if contexts == nil {
                report(
                    .vtdContextTableUnreachable, at: address, rid: rid, absentPage: table,
                    "context table \(table) of bus \(Self.bus(bus)) is not in memory")
            }
            if let other = firstBus[table] {
                report(
                    .tableReused, at: address, rid: rid,
                    "context table \(table) is already the one of bus \(Self.bus(other))")
            } else {
                firstBus[table] = bus
            }
            guard let contexts else { continue }
            note(table, .vtdContext)
            readLegacyContexts(
                bus: UInt16(bus), table, contexts,
                rootFault: violations.isEmpty ? nil : unit.fault(.rootReserved, at: address))
        }
    }

    private mutating func readLegacyContexts(
        bus: UInt16, _ table: PhysicalAddress, _ words: UnsafeMutablePointer<UInt64>, rootFault: Resolution?
    ) {
        for devfn in 0..<256 where !isExhausted {
            let entry = VTDContextEntry(low: words[devfn * 2], high: words[devfn * 2 + 1])
            guard !entry.isZero else { continue }
            let rid = bus << 8 | UInt16(devfn)
            let address = PhysicalAddress(table.rawValue | UInt64(devfn) << 4)
            guard entry.isPresent else {
                reportNotPresent(
                    .vtdContextReserved, [entry.low, entry.high], ignoresFPD: false, entry: address, rid: rid,
                    "context entry")
                continue
            }
            guard takeDevice(at: address, rid: rid) else { return }
            checkLegacy(entry, at: address, rid: rid)
            listing.entries.append(
                .init(
                    rid: rid, pasid: nil, entryAddress: address, deviceEntryAddress: address,
                    resolution: rootFault ?? unit.resolution(of: entry, at: address)))
        }
    }

    private mutating func checkLegacy(_ entry: VTDContextEntry, at address: PhysicalAddress, rid: UInt16) {
        let registers = unit.registers
        reportReserved(
            .vtdContextReserved, entry.violations(hostAddressWidth: hostAddressWidth), isPresent: true, entry: address,
            rid: rid, "context entry")
        if entry.addressWidth.map(registers.capability.supports) != true {
            reportAddressWidth(
                .vtdContextAddressWidth, entry.addressWidthCode, at: Self.word(1, of: address), rid: rid, pasid: nil)
        }
        let problem: String? =
            switch entry.translationType {
            case .untranslated: nil
            case .deviceTLB: registers.extendedCapability.deviceTLB ? nil : "1 needs ECAP.DT, which is 0"
            case .passThrough: registers.extendedCapability.passThrough ? nil : "2 needs ECAP.PT, which is 0"
            case .reserved: "3 is reserved"
            }
        if let problem { report(.vtdContextTranslationType, at: address, rid: rid, "translation type \(problem)") }
    }

    mutating func reportAddressWidth(
        _ rule: RuleID, _ code: UInt8, at address: PhysicalAddress, rid: UInt16, pasid: PASID?, once: Bool = false
    ) {
        let sagaw = VTDCapability.sagaw.value(in: unit.registers.capability.rawValue)
        report(
            rule, at: address, rid: rid, pasid: pasid,
            "address width \(code) is not in CAP.SAGAW \(hex(sagaw, digits: 2)): every access faults", once: once)
    }
}
