import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Rules about one unit: its registers and everything in its lookup structures.
struct LookupRules {
    let unit: RecordedUnit
    let origin: Snapshot.Origin
    /// Whether an address is memory of the machine; true when that is not known.
    let isMemory: (PhysicalAddress) -> Bool

    func check(into log: inout FindingLog) {
        guard let hardware = unit.hardware else {
            if let name = unit.missingRegister { log.add(missing(name)) }
            return
        }
        switch hardware {
        case .vtd(let unit): registers(unit.registers, &log)
        case .amd(let unit): registers(unit.registers, &log)
        case .smmu(let unit): registers(unit.registers, &log)
        }
        guard let listing = unit.listing else { return }
        if listing.rootIsAbsent, hardware.translationEnabled { log.add(absentRoot(listing, hardware)) }
        for defect in listing.defects { log.add(finding(defect)) }
    }

    private func missing(_ name: String) -> Finding {
        let rule: RuleID =
            switch name {
            case VTDRegisters.Name.rootTableAddress: .vtdRootTableAddress
            case AMDRegisters.Name.deviceTableBase: .amdDeviceTable
            case SMMURegisters.Name.streamTableBaseLow, SMMURegisters.Name.streamTableBaseHigh,
                SMMURegisters.Name.streamTableConfig:
                .smmuStreamTable
            default: .recordMalformed
            }
        return register(rule, "register \(name) is not recorded")
    }

    private func register(_ rule: RuleID, severity: Severity? = nil, _ message: String) -> Finding {
        Finding(rule, severity: severity, record: .init(table: "unit", key: "id=\(unit.record.id)"), message)
    }

    /// An image may lack a page; a generation of an engine holds them all.
    private var unknownSeverity: Severity { origin == .imported ? .warning : .error }

    private func absentRoot(_ listing: LookupListing, _ hardware: IOMMUHardware) -> Finding {
        let (rule, name): (RuleID, String) =
            switch hardware {
            case .vtd: (.vtdRootTableAddress, "root table")
            case .amd: (.amdDeviceTable, "device table")
            case .smmu: (.smmuStreamTable, "stream table")
            }
        guard isMemory(listing.root) else {
            return register(rule, "\(name) \(listing.root) is outside the machine's memory")
        }
        return register(.lookupPageUnknown, severity: unknownSeverity, "\(name) \(listing.root) is not recorded")
    }

    private func finding(_ defect: LookupDefect) -> Finding {
        var (rule, severity, message) = (defect.rule, defect.severity, defect.message)
        if let page = defect.absentPage {
            if isMemory(page) {
                (rule, severity) = (.lookupPageUnknown, unknownSeverity)
                message += ": it is not recorded"
            } else {
                message += ": the machine has none there"
            }
        }
        return Finding(
            rule, severity: severity, device: defect.rid.map(unit.requester), pasid: defect.pasid,
            address: defect.address,
            record: defect.address == nil ? .init(table: "unit", key: "id=\(unit.record.id)") : nil, message)
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
        case .scalable where registers.extendedCapability.scalableMode: break
        case .scalable:
            log.add(
                register(.vtdTranslationMode, "rtaddr asks for scalable mode, which the unit lacks (ECAP.SMTS is 0)"))
        case .reserved: log.add(register(.vtdTranslationMode, "rtaddr has the reserved translation table mode 2"))
        case .abortDMA: log.add(register(.vtdTranslationMode, "rtaddr aborts all DMA (translation table mode 3)"))
        }
        if !registers.globalStatus.translationEnabled {
            log.add(
                register(
                    .vtdTranslationMode, "gsts \(hex(registers.globalStatus.rawValue)): translation is off (TES is 0)"))
        }
    }

    /// The reserved bits of the base register are among the listing's defects.
    private func registers(_ registers: AMDRegisters, _ log: inout FindingLog) {
        if let control = registers.control, !control.translationEnabled {
            log.add(
                register(.amdDeviceTable, "control \(hex(control.rawValue)): translation is off (IommuEn is 0)"))
        }
    }

    /// The format of the stream table is among the listing's defects.
    private func registers(_ registers: SMMURegisters, _ log: inout FindingLog) {
        if let control = registers.control, !registers.translationEnabled {
            log.add(register(.smmuStreamTable, "cr0 \(hex(control)): translation is off (SMMUEN is 0)"))
        }
    }
}
