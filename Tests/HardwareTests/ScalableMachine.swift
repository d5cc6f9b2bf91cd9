import IOMMUModel
import PageTables

@testable import Hardware

/// 192 pages of memory from 0x100000 on with one scalable-mode unit and three trees of tables.
///
/// Device 00:01.0 (rid 8) has the context entry, its directory is at 0x110000 (32 pages), PASID tables follow from
/// 0x140000 on as they are needed.
struct ScalableMachine {
    static let rootTable = PhysicalAddress(0x100000)
    static let lower = PhysicalAddress(0x101000)
    static let upper = PhysicalAddress(0x102000)
    static let directory = PhysicalAddress(0x110000)
    static let secondStage = PhysicalAddress(0x160000)
    static let firstStage = PhysicalAddress(0x170000)
    static let firstStage5 = PhysicalAddress(0x178000)
    /// The host's table for a guest whose page `n`, up to 15, is at 0x190000 + n * 4096.
    static let guestSecondStage = PhysicalAddress(0x180000)
    static let guestMemory: UInt64 = 0x190000
    static let rid: UInt16 = 8
    static let context = PhysicalAddress(0x101100)

    var memory = PhysicalMemory()
    var hardware: VTDUnitHardware

    init(
        features: VTDExtendedCapability.Scalable = .all, pasidBits: Int = 20, directorySizeCode: UInt8 = 7,
        pasidEnabled: Bool = true, ridPASID: UInt32 = 0, firstStage1G: Bool = false, firstStage5Level: Bool = true
    ) throws {
        let region = try MappedRegion.anonymous(bytes: 192 * 4096)
        try memory.add(at: Self.rootTable, byteCount: 192 * 4096, region: region)
        hardware = VTDUnitHardware(
            registers: VTDRegisters(
                rootTableAddress: VTDRootTableAddress(mode: .scalable, rootTable: Self.rootTable),
                capability: VTDCapability(
                    widths: [.bits39, .bits48], maximumGuestAddressWidth: 48, firstStage1G: firstStage1G,
                    firstStage5Level: firstStage5Level),
                extendedCapability: VTDExtendedCapability(scalable: features, pasidBits: pasidBits),
                globalStatus: VTDGlobalStatus(translationEnabled: true), hostAddressWidth: 46))
        set(Self.rootTable.rawValue, VTDScalableRootEntry(lowerTable: Self.lower, upperTable: Self.upper).lower)
        set(Self.rootTable.rawValue + 8, VTDScalableRootEntry(lowerTable: Self.lower, upperTable: Self.upper).upper)
        setContext(
            Self.rid,
            VTDScalableContextEntry(
                directory: Self.directory, directorySizeCode: directorySizeCode, pasidEnabled: pasidEnabled,
                ridPASID: PASID(ridPASID)!))
        buildTables()
    }

    private func buildTables() {
        // Second stage, 48 bits: 0x1000 rw, 0x2000 r, 0x3000 reserved bit, 0x4000 w, 0x5000 into the interrupt range.
        for level: UInt64 in 0..<3 { set(0x160000 + level << 12, 0x161003 + level << 12) }
        for (index, word): (UInt64, UInt64) in [
            (1, 0x77003), (2, 0x78001), (3, 0x4000_0000_0007_9003), (4, 0x79002), (5, 0xfee0_1003),
        ] {
            set(0x163000 + index * 8, word)
        }
        // 0x200000: readable above, writable below, so neither.
        set(0x162008, 0x164001)
        set(0x164000, 0x7a002)
        // First stage: 0x1000 rw, 0x2000 r, 0x4000 supervisor, 0x5000 beyond HAW, 0x6000 interrupt range, 0x7000 XD.
        for level: UInt64 in 0..<3 { set(0x170000 + level << 12, 0x171007 + level << 12) }
        set(0x170000 + 511 * 8, 0x171007)
        set(0x178000, 0x170007)
        set(0x178000 + 511 * 8, 0x170007)
        for (index, word): (UInt64, UInt64) in [
            (1, 0x77007), (2, 0x78005), (4, 0x79003), (5, 1 << 50 | 0x79007), (6, 0xfee0_1007), (7, 1 << 63 | 0x7a007),
        ] {
            set(0x173000 + index * 8, word)
        }
        // The guest's memory, 39 bits; its tables are guest pages 0 to 3, GVA 0x1000 is guest page 5.
        for level: UInt64 in 0..<2 { set(0x180000 + level << 12, 0x181003 + level << 12) }
        for page: UInt64 in 0..<16 { setGuestPage(page, 3) }
        for level: UInt64 in 0..<3 { set(Self.guestMemory + level << 12, 0x1007 + level << 12) }
        setGuestLeaf(1, 0x5007)
    }

    /// Bits 1:0 (or more) of the second stage's entry for a guest page.
    func setGuestPage(_ page: UInt64, _ bits: UInt64) {
        set(0x182000 + page * 8, bits == 0 ? 0 : (Self.guestMemory + page << 12) | bits)
    }

    /// The guest's first-stage leaf `index`: GVA `index` * 4096.
    func setGuestLeaf(_ index: UInt64, _ word: UInt64) { set(Self.guestMemory + 0x3000 + index * 8, word) }

    func set(_ address: UInt64, _ value: UInt64) {
        precondition(memory.setWord(value, at: PhysicalAddress(address)))
    }

    func word(_ address: UInt64) -> UInt64 { memory.word(at: PhysicalAddress(address))! }

    /// Writes the context entry of bus 0, device and function `rid`.
    func setContext(_ rid: UInt16, _ entry: VTDScalableContextEntry) {
        let table = rid & 0x80 == 0 ? Self.lower : Self.upper
        for (index, word) in entry.words.enumerated() {
            set(table.rawValue + UInt64(rid & 0x7f) * 32 + UInt64(index) * 8, word)
        }
    }

    /// Where the entry of `pasid` is; its table is made when there is none.
    func place(_ pasid: UInt32) -> UInt64 {
        let slot = Self.directory.rawValue + UInt64(pasid >> 6) * 8
        if word(slot) & 1 == 0 {
            // One page per directory entry in use: the tests use few.
            var table: UInt64 = 0x140000
            let used = Set((0..<16384).map { word(Self.directory.rawValue + $0 * 8) & ~0xfff })
            while used.contains(table) { table += 4096 }
            set(slot, table | 1)
        }
        return word(slot) & ~0xfff + UInt64(pasid & 63) * 64
    }

    func setEntry(_ pasid: UInt32, _ entry: VTDPASIDEntry) {
        let place = place(pasid)
        for (index, word) in entry.words.enumerated() { set(place + UInt64(index) * 8, word) }
    }

    static let second = VTDPASIDEntry(secondStage: secondStage, width: .bits48, domainID: 7)
    static let first = VTDPASIDEntry(firstStage: firstStage, isFiveLevel: false, domainID: 9)
    static let nested = VTDPASIDEntry(
        firstStage: PhysicalAddress(0), isFiveLevel: false, over: guestSecondStage, width: .bits39, domainID: 11)

    func resolve(_ pasid: UInt32? = nil, rid: UInt16 = rid) -> Resolution {
        hardware.resolve(rid, pasid: pasid.map { PASID($0)! }, memory: memory.view)
    }

    func dma(_ iova: UInt64, _ access: Access = .read, pasid: UInt32? = nil, rid: UInt16 = rid) -> RequestOutcome {
        hardware.translate(
            rid, pasid: pasid.map { PASID($0)! }, iova: IOVA(iova), access: access, memory: memory.view)
    }
}
