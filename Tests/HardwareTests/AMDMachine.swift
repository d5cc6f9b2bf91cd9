import IOMMUModel
import PageTables

@testable import Hardware

/// 128 pages of memory from 0x100000 on with one AMD unit.
///
/// | address | what |
/// |---|---|
/// | 0x100000 | device table, two pages: requester ids 0 to 255 |
/// | 0x110000 | v1 tree of three levels: IOVA `n * 4096` to 0x100000 + `n * 4096` for n below 128, but see the constants |
/// | 0x118000 | v2 tree of four levels, host addresses: 0x1000 to 0x130000 (rw), 0x2000 to 0x131000 (r) |
/// | 0x11c000 | the same tree with addresses of the guest: to guest addresses 0x30000 and 0x31000 |
/// | 0x120000 on | GCR3 tables |
struct AMDMachine {
    static let base: UInt64 = 0x100000
    static let v1 = PhysicalAddress(0x110000)
    static let v2 = PhysicalAddress(0x118000)
    static let v2Guest = PhysicalAddress(0x1c000)
    static let gcr3 = PhysicalAddress(0x120000)
    static let features = AMDExtendedFeatures(hostLevels: 6, guestLevels: 5)

    /// Pages of the v1 tree with something special, by number.
    enum Special {
        static let readOnly: UInt64 = 120
        static let writeOnly: UInt64 = 121
        static let reserved: UInt64 = 122
        static let notPresent: UInt64 = 123
        static let badLevel: UInt64 = 124
        static let badSize: UInt64 = 125
        static let beyondMemory: UInt64 = 126
    }

    var memory = PhysicalMemory()
    var hardware: AMDUnitHardware

    init(
        features: AMDExtendedFeatures? = Self.features, control: AMDControl? = nil, encryptionBit: Int? = nil,
        updatesAccessedDirty: Bool = false
    ) throws {
        let region = try MappedRegion.anonymous(bytes: 128 * 4096)
        try memory.add(at: PhysicalAddress(Self.base), byteCount: 128 * 4096, region: region)
        hardware = AMDUnitHardware(
            registers: AMDRegisters(
                deviceTableBase: AMDDeviceTableBase(table: PhysicalAddress(Self.base), pageCount: 2),
                control: control, features: features, hostAddressWidth: 48, encryptionBit: encryptionBit),
            updatesAccessedDirty: updatesAccessedDirty)
        let readWrite: UInt64 = 0x6000_0000_0000_0000
        set(0x110000, 0x111000 | 2 << 9 | 1 | readWrite)
        set(0x111000, 0x112000 | 1 << 9 | 1 | readWrite)
        for number in 0..<UInt64(128) {
            set(0x112000 + 8 * number, Self.base + number << 12 | 1 | readWrite)
        }
        set(0x112000 + 8 * Special.readOnly, 0x178000 | 1 | 0x2000_0000_0000_0000)
        set(0x112000 + 8 * Special.writeOnly, 0x179000 | 1 | 0x4000_0000_0000_0000)
        set(0x112000 + 8 * Special.reserved, 0x17a000 | 1 | readWrite | 1 << 52)
        set(0x112000 + 8 * Special.notPresent, 0)
        set(0x112000 + 8 * Special.badLevel, 0x17c000 | 1 | readWrite | 1 << 9)
        set(0x112000 + 8 * Special.badSize, 0x000f_ffff_ffff_f000 | 1 | readWrite | 7 << 9)
        set(0x112000 + 8 * Special.beyondMemory, 0x900000 | 1 | readWrite)
        for (start, offset) in [(UInt64(0x118000), UInt64(0)), (0x11c000, Self.base)] {
            set(start, (start + 0x1000 - offset) | 0x27)
            set(start + 8 * 256, (start + 0x1000 - offset) | 0x27)
            set(start + 8 * 511, (start + 0x1000 - offset) | 0x27)
            set(start + 0x1000, (start + 0x2000 - offset) | 0x27)
            set(start + 0x2000, (start + 0x3000 - offset) | 0x27)
            set(start + 0x3000 + 8, (0x130000 - offset) | 0x67)
            set(start + 0x3000 + 16, (0x131000 - offset) | 0x25)
            set(start + 0x3000 + 24, (0x132000 - offset) | 0x23)
            set(start + 0x3000 + 32, (0x133000 - offset) | 0x27 | 1 << 63)
        }
    }

    func set(_ address: UInt64, _ value: UInt64) {
        precondition(memory.setWord(value, at: PhysicalAddress(address)))
    }

    func setEntry(_ rid: UInt16, _ entry: AMDDeviceTableEntry) {
        for (index, word) in entry.words.enumerated() {
            set(Self.base + UInt64(rid) * 32 + 8 * UInt64(index), word)
        }
    }

    /// Writes GCR3 tables of `levels` levels with entries for `guests`, the tables one after another from `table` on;
    /// pointers between tables have `offset` taken off (addresses of the guest) and `bits` added.
    func setGCR3(
        _ guests: [UInt32: PhysicalAddress], levels: Int, at table: PhysicalAddress = gcr3, offset: UInt64 = 0,
        bits: UInt64 = 0
    ) {
        var next = table.rawValue + 0x1000
        var tables: [[UInt32]: UInt64] = [[]: table.rawValue]
        for (pasid, root) in guests.sorted(by: { $0.key < $1.key }) {
            var path: [UInt32] = []
            var page = table.rawValue
            for level in (1...levels).reversed() {
                let index = pasid >> UInt32(9 * (level - 1)) & 511
                if level == 1 {
                    set(page + 8 * UInt64(index), root.rawValue | 1 | bits)
                    break
                }
                path.append(index)
                if tables[path] == nil {
                    tables[path] = next
                    set(page + 8 * UInt64(index), (next - offset) | 1 | bits)
                    next += 0x1000
                }
                page = tables[path]!
            }
        }
    }

    static func v1Entry(domainID: UInt16 = 7, protection: Protection = .readWrite) -> AMDDeviceTableEntry {
        AMDDeviceTableEntry(v1Root: v1, mode: 3, domainID: domainID, protection: protection)
    }

    /// Guest tables of host addresses.
    static func v2Entry(glx: Int, giov: Bool = true, domainID: UInt16 = 9) -> AMDDeviceTableEntry {
        AMDDeviceTableEntry(v2GCR3Root: gcr3, glx: glx, giov: giov, domainID: domainID)
    }

    /// The v1 tree below guest tables; the GCR3 table at 0x120000 is named by its guest address.
    static func nestedEntry(glx: Int = 0, giov: Bool = true) -> AMDDeviceTableEntry {
        var entry = v1Entry(domainID: 11)
        entry.setGuest(gcr3Root: PhysicalAddress(gcr3.rawValue - base), glx: glx, giov: giov)
        return entry
    }

    func resolve(_ rid: UInt16, _ pasid: UInt32? = nil) -> Resolution {
        hardware.resolve(rid, pasid: pasid.flatMap { PASID($0) }, memory: memory.view)
    }

    func dma(_ rid: UInt16, _ iova: UInt64, _ access: Access = .read, pasid: UInt32? = nil) -> RequestOutcome {
        hardware.translate(
            rid, pasid: pasid.flatMap { PASID($0) }, iova: IOVA(iova), access: access, memory: memory.view)
    }

    var listing: LookupListing { hardware.listing(memory: memory.view) }
}

extension HardwareFault {
    /// Of an AMD fault.
    var amd: AMDFaultReason? {
        if case .amd(let reason) = reason { reason } else { nil }
    }
}

extension Resolution {
    var fault: HardwareFault? {
        if case .fault(let fault) = self { fault } else { nil }
    }

    var context: RequestContext? {
        if case .context(let context) = self { context } else { nil }
    }
}

extension RequestOutcome {
    var fault: HardwareFault? {
        if case .fault(let fault) = self { fault } else { nil }
    }
}
