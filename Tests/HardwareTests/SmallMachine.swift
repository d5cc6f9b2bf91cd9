import IOMMUModel
import PageTables

@testable import Hardware

/// Sixteen pages of memory from 0x10000 on with one unit: root table at 0x10000, context table of bus 0 at 0x11000,
/// second-stage tables from 0x12000 on, and helpers to write words.
struct SmallMachine {
    static let base = PhysicalAddress(0x10000)
    static let rootTable = PhysicalAddress(0x10000)
    static let contextTable = PhysicalAddress(0x11000)
    static let tables = PhysicalAddress(0x12000)

    var memory = PhysicalMemory()
    var hardware: VTDUnitHardware

    init(
        widths: [VTDAddressWidth] = [.bits39, .bits48], mgaw: Int = 48, deviceTLB: Bool = false,
        passThrough: Bool = true, translationEnabled: Bool = true, mode: VTDRootTableAddress.Mode = .legacy
    ) throws {
        let region = try MappedRegion.anonymous(bytes: 16 * 4096)
        try memory.add(at: Self.base, byteCount: 16 * 4096, region: region)
        hardware = VTDUnitHardware(
            registers: VTDRegisters(
                rootTableAddress: VTDRootTableAddress(mode: mode, rootTable: Self.rootTable),
                capability: VTDCapability(widths: widths, maximumGuestAddressWidth: mgaw),
                extendedCapability: VTDExtendedCapability(
                    snoopControl: false, deviceTLB: deviceTLB, passThrough: passThrough),
                globalStatus: VTDGlobalStatus(translationEnabled: translationEnabled), hostAddressWidth: 46))
        setRoot(bus: 0, VTDRootEntry(contextTable: Self.contextTable))
        // A four-level tree: 0x1000 → 0x77000 (read-write), 0x2000 → 0x78000 (read only), 0x3000 with a reserved bit.
        set(0x12000, 0x13003)
        set(0x13000, 0x14003)
        set(0x14000, 0x15003)
        set(0x15008, 0x77003)
        set(0x15010, 0x78001)
        set(0x15018, 0x4000_0000_0007_9003)
        set(0x14008, 0x99999003)
    }

    func set(_ address: UInt64, _ value: UInt64) {
        precondition(memory.setWord(value, at: PhysicalAddress(address)))
    }

    func setRoot(bus: UInt8, _ entry: VTDRootEntry) {
        set(Self.rootTable.rawValue + UInt64(bus) * 16, entry.low)
        set(Self.rootTable.rawValue + UInt64(bus) * 16 + 8, entry.high)
    }

    /// Writes the context entry of bus 0, `devfn`.
    func setContext(_ devfn: UInt8, _ entry: VTDContextEntry) {
        set(Self.contextTable.rawValue + UInt64(devfn) * 16, entry.low)
        set(Self.contextTable.rawValue + UInt64(devfn) * 16 + 8, entry.high)
    }

    /// An entry for the four-level tree.
    static var translated: VTDContextEntry { VTDContextEntry(root: tables, width: .bits48, domainID: 7) }

    func dma(_ rid: UInt16, _ iova: UInt64, _ access: Access = .read, pasid: PASID? = nil) -> RequestOutcome {
        hardware.translate(rid, pasid: pasid, iova: IOVA(iova), access: access, memory: memory.view)
    }
}

extension RequestOutcome {
    /// The reason of a VT-d unit's fault.
    var reason: VTDFaultReason? {
        if case .fault(let fault) = self { fault.vtdReason } else { nil }
    }
}

extension HardwareFault {
    var vtdReason: VTDFaultReason? {
        if case .vtd(let reason) = reason { reason } else { nil }
    }
}

extension Resolution {
    /// The reason of a VT-d unit's fault.
    var reason: VTDFaultReason? {
        if case .fault(let fault) = self { fault.vtdReason } else { nil }
    }
}
