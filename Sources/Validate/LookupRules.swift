import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Rules about one unit: its registers and everything in its root and context tables.
struct LookupRules {
    let unit: RecordedUnit
    let origin: Snapshot.Origin
    /// Whether an address is memory of the machine; true when that is not known.
    let isMemory: (PhysicalAddress) -> Bool

    func check(into log: inout FindingLog) {
        guard unit.record.kind == .intelVTd else { return }
        guard let hardware = unit.hardware else {
            let name = unit.missingRegister ?? "rtaddr"
            let rule: RuleID = name == VTDRegisters.Name.rootTableAddress ? .vtdRootTableAddress : .recordMalformed
            log.add(register(rule, "register \(name) is not recorded"))
            return
        }
        registers(hardware.registers, &log)
        guard let lookup = unit.lookup else { return }
        if lookup.rootTableIsAbsent {
            if isMemory(lookup.rootTable) {
                log.add(unknown(lookup.rootTable, "root table", device: nil, at: nil))
            } else {
                log.add(
                    register(.vtdRootTableAddress, "root table \(lookup.rootTable) is outside the machine's memory"))
            }
        }
        roots(lookup, &log)
        for context in lookup.contexts { check(context, hardware, &log) }
        cacheTags(lookup, &log)
        if origin == .imported { oddWidths(lookup, &log) }
    }

    private func register(_ rule: RuleID, _ message: String) -> Finding {
        Finding(rule, record: .init(table: "unit", key: "id=\(unit.record.id)"), message)
    }

    private func unknown(
        _ page: PhysicalAddress, _ what: String, device: RequesterID?, at address: PhysicalAddress?
    ) -> Finding {
        Finding(
            .lookupPageUnknown, severity: origin == .imported ? .warning : .error, device: device, address: address,
            record: .init(table: "unit", key: "id=\(unit.record.id)"), "\(what) \(page) is not recorded")
    }

    private func registers(_ registers: VTDRegisters, _ log: inout FindingLog) {
        let rtaddr = registers.rootTableAddress
        if !rtaddr.violations.isEmpty {
            log.add(
                register(
                    .vtdRootTableAddress, "rtaddr \(hex(rtaddr.rawValue)) has reserved bits set: \(rtaddr.violations)"))
        }
        if registers.hostAddressWidth < 64, rtaddr.rootTable.rawValue >> UInt64(registers.hostAddressWidth) != 0 {
            log.add(
                register(
                    .vtdRootTableAddress,
                    "root table \(rtaddr.rootTable) is above the host address width \(registers.hostAddressWidth)"))
        }
        switch rtaddr.mode {
        case .legacy: break
        case .scalable: log.add(register(.vtdTranslationMode, "rtaddr asks for scalable mode, which is not read"))
        case .reserved: log.add(register(.vtdTranslationMode, "rtaddr has the reserved translation table mode 2"))
        case .abortDMA: log.add(register(.vtdTranslationMode, "rtaddr aborts all DMA (translation table mode 3)"))
        }
        if !registers.globalStatus.translationEnabled {
            log.add(
                register(
                    .vtdTranslationMode, "gsts \(hex(registers.globalStatus.rawValue)): translation is off (TES is 0)"))
        }
    }

    private func roots(_ lookup: VTDLegacyLookup, _ log: inout FindingLog) {
        var users: [PhysicalAddress: UInt8] = [:]
        for root in lookup.roots {
            let device = unit.requester(UInt16(root.bus) << 8)
            let width = Int(unit.record.hostAddressWidth)
            let violations = root.entry.violations(hostAddressWidth: width)
            if !violations.isEmpty {
                log.add(
                    Finding(
                        .vtdRootReserved, severity: root.entry.isPresent ? .error : .warning, device: device,
                        address: word(root.entryAddress, violations),
                        "root entry of bus \(Self.bus(root.bus)) has reserved bits set: \(Self.text(violations))"
                            + (root.entry.isPresent ? "" : " (not present)")))
            }
            guard root.entry.isPresent else { continue }
            let table = root.entry.contextTable
            if root.contextTableIsAbsent {
                if isMemory(table) {
                    log.add(
                        unknown(
                            table, "context table of bus \(Self.bus(root.bus))", device: device, at: root.entryAddress))
                } else {
                    log.add(
                        Finding(
                            .vtdContextTableUnreachable, device: device, address: root.entryAddress,
                            "context table \(table) of bus \(Self.bus(root.bus)) is outside the machine's memory"))
                }
            }
            if let other = users[table] {
                log.add(
                    Finding(
                        .tableReused, device: device, address: root.entryAddress,
                        "context table \(table) is already the one of bus \(Self.bus(other))"))
            } else {
                users[table] = root.bus
            }
        }
    }

    private func check(
        _ context: VTDLegacyLookup.ContextEntry, _ hardware: VTDUnitHardware, _ log: inout FindingLog
    ) {
        let device = unit.requester(context.rid)
        func report(_ rule: RuleID, severity: Severity? = nil, at address: PhysicalAddress, _ message: String) {
            log.add(Finding(rule, severity: severity, device: device, address: address, message))
        }
        let entry = context.entry
        guard entry.isPresent else {
            report(
                .vtdContextReserved, severity: .warning,
                at: entry.low != 0 ? context.entryAddress : second(context.entryAddress),
                "context entry is not present, yet not zero: \(hex(entry.low)) \(hex(entry.high))")
            return
        }
        if !context.violations.isEmpty {
            report(
                .vtdContextReserved, at: word(context.entryAddress, context.violations),
                "context entry has reserved bits set: \(Self.text(context.violations))")
        }
        if entry.addressWidth.flatMap({ hardware.configuration(width: $0) }) == nil {
            let sagaw = VTDCapability.sagaw.value(in: hardware.registers.capability.rawValue)
            report(
                .vtdContextAddressWidth, at: second(context.entryAddress),
                "address width \(entry.addressWidthCode) is not in CAP.SAGAW \(hex(sagaw, digits: 2)): every access faults"
            )
        }
        switch entry.translationType {
        case .untranslated: break
        case .deviceTLB where hardware.registers.extendedCapability.deviceTLB: break
        case .passThrough where hardware.registers.extendedCapability.passThrough: break
        case .reserved: report(.vtdContextTranslationType, at: context.entryAddress, "translation type 3 is reserved")
        case .deviceTLB:
            report(.vtdContextTranslationType, at: context.entryAddress, "translation type 1 needs ECAP.DT, which is 0")
        case .passThrough:
            report(.vtdContextTranslationType, at: context.entryAddress, "translation type 2 needs ECAP.PT, which is 0")
        }
    }

    /// A width that the unit supports but that hardly any other entry has: a kernel builds all its tables alike, and a
    /// walk that starts at the wrong level reads tables as pages without any fault.
    private func oddWidths(_ lookup: VTDLegacyLookup, _ log: inout FindingLog) {
        var counts: [UInt8: Int] = [:]
        let paging = lookup.contexts.filter { if case .tables = $0.translation { true } else { false } }
        for context in paging { counts[context.entry.addressWidthCode, default: 0] += 1 }
        guard let usual = counts.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }), usual.value * 2 > paging.count
        else { return }
        for context in paging where context.entry.addressWidthCode != usual.key {
            log.add(
                Finding(
                    .vtdContextAddressWidth, severity: .warning, device: unit.requester(context.rid),
                    address: second(context.entryAddress),
                    "address width \(context.entry.addressWidthCode), where \(usual.value) of \(paging.count) entries have "
                        + "\(usual.key): if the tables were built for that width, the mappings are absurd"))
        }
    }

    /// One DID with two roots on this unit. Pass-through entries have no root and never collide.
    private func cacheTags(_ lookup: VTDLegacyLookup, _ log: inout FindingLog) {
        var roots: [UInt16: [(root: PhysicalAddress, device: RequesterID)]] = [:]
        for context in lookup.contexts {
            guard case .tables(_, let root) = context.translation else { continue }
            let tag = context.entry.domainID
            let known = roots[tag, default: []]
            guard !known.contains(where: { $0.root == root }) else { continue }
            let device = unit.requester(context.rid)
            roots[tag, default: []].append((root, device))
            guard let first = known.first else { continue }
            log.add(
                Finding(
                    .cacheTagCollision, device: device, address: second(context.entryAddress),
                    "DID \(tag) stands for root \(root) here and for \(first.root) at \(first.device)"))
        }
    }

    private func second(_ address: PhysicalAddress) -> PhysicalAddress { PhysicalAddress(address.rawValue | 8) }

    /// The lowest word with a violation.
    private func word(_ address: PhysicalAddress, _ violations: [BitRange]) -> PhysicalAddress {
        PhysicalAddress(address.rawValue | UInt64(violations.map(\.word).min() ?? 0) << 3)
    }

    private static func text(_ ranges: [BitRange]) -> String { ranges.map(\.description).joined(separator: ", ") }

    private static func bus(_ bus: UInt8) -> String { hex(UInt64(bus), digits: 2) }
}
