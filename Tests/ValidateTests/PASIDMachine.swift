import Hardware
import IOMMUModel
import PageTables
import Snapshot

@testable import Validate

/// A small machine with PASIDs: one unit, VT-d in scalable mode or AMD, of which every path is in use.
///
/// | device | PASID | domain | tag |
/// |---|---|---|---|
/// | 00:04.0 | - | VT-d: 1 (second stage), AMD: 3 (guest tables of PASID 0) | VT-d: 5, AMD: 6 |
/// | 00:04.0 | 1, 64 | 2 (first stage) | 6 |
/// | 00:04.0 | 70 | VT-d: 3 (first stage) | 6 |
/// | 00:06.0 | - | 1 (second stage, AMD v1 of six levels) | 5 |
/// | 00:07.0 | - | 6 (pass-through) | 9 |
/// | 00:08.0 | 100 | 4 (nested, its parent is 5) | 8 |
///
/// Entries are made by the structures' own initialisers, tables are written word by word.
struct PASIDMachine {
    enum Vendor: Sendable, CaseIterable {
        case intel
        case amd
    }

    static let first = RequesterID(segment: 0, rid: 0x20)
    static let second = RequesterID(segment: 0, rid: 0x30)
    static let passing = RequesterID(segment: 0, rid: 0x38)
    static let nesting = RequesterID(segment: 0, rid: 0x40)
    /// Where the guest has its root table.
    static let guestRoot = PhysicalAddress(0x4000)
    static let fileBase: UInt64 = 0x4000_0000

    let vendor: Vendor
    var memory = PhysicalMemory()
    private var nextFrame = TestMachine.ramBase
    var rootTable = PhysicalAddress(0)
    /// VT-d: of bus 0, lower half.
    var contextTable = PhysicalAddress(0)
    /// VT-d: PASID directories; AMD: GCR3 tables of level 2.
    var directories: [RequesterID: PhysicalAddress] = [:]
    /// VT-d: PASID tables; AMD: GCR3 tables of level 1. By device and the PASID's upper bits.
    private var lowTables: [RequesterID: [UInt32: PhysicalAddress]] = [:]
    /// Roots by domain.
    var roots: [UInt32: PhysicalAddress] = [:]
    var snapshot = Snapshot(origin: .engine)

    init(_ vendor: Vendor) throws {
        self.vendor = vendor
        let region = try MappedRegion.anonymous(bytes: Int(TestMachine.ramBytes))
        try memory.add(at: PhysicalAddress(TestMachine.ramBase), byteCount: TestMachine.ramBytes, region: region)
        rootTable = frame()
        for domain: UInt32 in [1, 2, 3, 5] { roots[domain] = frame() }
        records()
        switch vendor {
        case .intel: enterIntel()
        case .amd: enterAMD()
        }
        fill(1, 0x10_0000, pages: 3)
        fill(1, 0x20_0000, pages: 2, level: 1, .read)
        fill(2, 0x7f_0000_0000, pages: 4)
        fill(3, 0x1000, pages: 1)
        fill(5, 0, pages: 16)
        try record()
    }

    // MARK: Memory

    mutating func frame() -> PhysicalAddress {
        defer { nextFrame += 4096 }
        return PhysicalAddress(nextFrame)
    }

    func write(_ word: UInt64, _ address: PhysicalAddress) {
        precondition(memory.setWord(word, at: address), "no memory at \(address)")
    }

    func write(_ words: [UInt64], _ address: PhysicalAddress) {
        for (index, word) in words.enumerated() { write(word, Self.word(UInt64(index), address)) }
    }

    func read(_ address: PhysicalAddress) -> UInt64 { memory.word(at: address)! }

    static func word(_ index: UInt64, _ address: PhysicalAddress) -> PhysicalAddress {
        PhysicalAddress(address.rawValue + index * 8)
    }

    // MARK: Entries

    /// The context entry or the device table entry.
    func deviceEntry(_ device: RequesterID) -> PhysicalAddress {
        vendor == .intel
            ? VTDLookupIndex.scalableContextEntry(device.rid, in: contextTable)!
            : PhysicalAddress(rootTable.rawValue + AMDLookupIndex.deviceEntryOffset(device.rid))
    }

    /// VT-d: the PASID directory entry; AMD: the GCR3 entry of level 2.
    func upperEntry(_ device: RequesterID, _ pasid: UInt32) -> PhysicalAddress {
        vendor == .intel
            ? VTDLookupIndex.directoryEntry(PASID(pasid)!, in: directories[device]!)!
            : Self.word(UInt64(AMDLookupIndex.gcr3(PASID(pasid)!, level: 2)), directories[device]!)
    }

    /// The PASID-table entry or the GCR3 entry of level 1; the tables on the way are made.
    mutating func entry(_ device: RequesterID, _ pasid: UInt32) -> PhysicalAddress {
        let upper = vendor == .intel ? pasid >> 6 : pasid >> 9
        if lowTables[device]?[upper] == nil {
            let table = frame()
            lowTables[device, default: [:]][upper] = table
            write(
                vendor == .intel ? VTDPASIDDirectoryEntry(table: table).word : AMDGCR3Entry(pointer: table).rawValue,
                upperEntry(device, pasid))
        }
        let table = lowTables[device]![upper]!
        return vendor == .intel
            ? VTDLookupIndex.pasidEntry(PASID(pasid)!, in: table)!
            : Self.word(UInt64(AMDLookupIndex.gcr3(PASID(pasid)!, level: 1)), table)
    }

    mutating func enter(_ device: RequesterID, _ pasid: UInt32, _ entry: VTDPASIDEntry) {
        write(entry.words, self.entry(device, pasid))
    }

    private mutating func enterIntel() {
        contextTable = frame()
        write(VTDScalableRootEntry(lowerTable: contextTable).lower, rootTable)
        for device in [Self.first, Self.second, Self.passing, Self.nesting] {
            directories[device] = frame()
            write(
                VTDScalableContextEntry(directory: directories[device]!, directorySizeCode: 0, pasidEnabled: true)
                    .words,
                deviceEntry(device))
        }
        for device in [Self.first, Self.second] {
            enter(device, 0, VTDPASIDEntry(secondStage: roots[1]!, width: .bits48, domainID: 5))
            attach(device, nil, 1, tag: 5, at: entry(device, 0))
        }
        for (pasid, domain): (UInt32, UInt32) in [(1, 2), (64, 2), (70, 3)] {
            enter(Self.first, pasid, VTDPASIDEntry(firstStage: roots[domain]!, isFiveLevel: false, domainID: 6))
            attach(Self.first, pasid, domain, tag: 6, key: pasid, at: entry(Self.first, pasid))
        }
        enter(Self.passing, 0, VTDPASIDEntry(passThroughWith: 9))
        attach(Self.passing, nil, 6, tag: 9, at: entry(Self.passing, 0))
        enter(
            Self.nesting, 100,
            VTDPASIDEntry(
                firstStage: Self.guestRoot, isFiveLevel: false, over: roots[5]!, width: .bits48, domainID: 8))
        attach(Self.nesting, 100, 4, tag: 8, key: 100, at: entry(Self.nesting, 100))
    }

    mutating func enter(_ device: RequesterID, _ entry: AMDDeviceTableEntry) { write(entry.words, deviceEntry(device)) }

    private mutating func enterAMD() {
        for rid in UInt64(0)..<128 {
            write(AMDDeviceTableEntry.blocked.words, PhysicalAddress(rootTable.rawValue + rid * 32))
        }
        for device in [Self.first, Self.nesting] { directories[device] = frame() }
        enter(Self.first, AMDDeviceTableEntry(v2GCR3Root: directories[Self.first]!, glx: 1, domainID: 6))
        for (pasid, domain): (UInt32, UInt32) in [(0, 3), (1, 2), (64, 2)] {
            write(AMDGCR3Entry(pointer: roots[domain]!).rawValue, entry(Self.first, pasid))
            attach(
                Self.first, pasid == 0 ? nil : pasid, domain, tag: 6, key: pasid, at: entry(Self.first, pasid))
        }
        enter(Self.second, AMDDeviceTableEntry(v1Root: roots[1]!, mode: 6, domainID: 5))
        attach(Self.second, nil, 1, tag: 5, at: deviceEntry(Self.second))
        enter(Self.passing, AMDDeviceTableEntry(passThroughWith: .readWrite, domainID: 9))
        attach(Self.passing, nil, 6, tag: 9, at: deviceEntry(Self.passing))
        var nested = AMDDeviceTableEntry(v1Root: roots[5]!, mode: 4, domainID: 8)
        nested.setGuest(gcr3Root: directories[Self.nesting]!, glx: 1, giov: true)
        enter(Self.nesting, nested)
        write(AMDGCR3Entry(pointer: Self.guestRoot).rawValue, entry(Self.nesting, 100))
        attach(Self.nesting, 100, 4, tag: 8, key: 100, at: entry(Self.nesting, 100))
    }

    mutating func attach(
        _ device: RequesterID, _ pasid: UInt32?, _ domain: UInt32, tag: UInt32, key: UInt32? = nil,
        at entry: PhysicalAddress?
    ) {
        snapshot.attachments.append(
            AttachmentRecord(
                requester: device, pasid: pasid.map { PASID($0)! }, domain: DomainID(domain), cacheTag: tag,
                cachePASID: key.map { PASID($0)! }, entryAddress: entry))
    }

    /// The attachment of `device` with `pasid`.
    func attachment(_ device: RequesterID, _ pasid: UInt32?) -> Int {
        snapshot.attachments.firstIndex { $0.requester == device && $0.pasid?.rawValue == pasid }!
    }

    // MARK: Checks

    /// The memory, which lives as long as `body` runs.
    func withMemory<R>(_ body: (MemoryView) throws -> R) rethrows -> R {
        try withExtendedLifetime(memory) { try body(memory.view) }
    }

    func check() throws -> [Finding] { try Checker().check(snapshot) }
}
