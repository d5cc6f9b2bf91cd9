import Engine
import Foundation
import Handover
import Hardware
import IOMMUModel
import Import
import PageTables
import Snapshot
import Testing
import Validate

@testable import Scenario

/// An engine builds a machine's structures, its memory becomes an ELF core, and the importer reads out of it exactly what
/// the engine had.
@Suite("From the engine through an ELF core and back")
struct RoundTripTests {
    /// What a snapshot says once its ids are taken away.
    struct Facts: Equatable {
        struct Tables: Hashable {
            var kind: DomainKind
            var unit: UnitID
            var tables: DomainUnitRecord.Geometry?
            var parent: DomainUnitRecord.Geometry?
        }
        struct Attached: Hashable {
            var requester: RequesterID
            var pasid: PASID?
            var tag: UInt32?
            var cachePASID: PASID?
            var entryAddress: PhysicalAddress?
            var domain: Tables
        }
        struct Mapped: Hashable {
            var root: PhysicalAddress
            var range: IOVARange
            var pa: UInt64
            var protection: Protection
        }
        var units: [UnitRecord]
        var attachments: Set<Attached>
        /// The devices and PASIDs of each domain.
        var shared: Set<Set<String>>
        var lookup: [UnitPages]
        var tables: [PhysicalAddress: PageSet]
        var mapped: Set<Mapped>

        init(_ snapshot: Snapshot) {
            func geometry(_ domain: DomainID?) -> DomainUnitRecord.Geometry? {
                snapshot.domainUnits.first { $0.domain == domain }?.tables
            }
            units = snapshot.units
            let live = snapshot.attachments.filter { attachment in
                snapshot.domains.contains { $0.id == attachment.domain && $0.kind != .blocked }
            }
            attachments = Set(
                live.map { attachment in
                    let domain = snapshot.domains.first { $0.id == attachment.domain }!
                    let unit = snapshot.devices.first { $0.requester == attachment.requester }!.unit
                    return Attached(
                        requester: attachment.requester, pasid: attachment.pasid, tag: attachment.cacheTag,
                        cachePASID: attachment.cachePASID, entryAddress: attachment.entryAddress,
                        domain: Tables(
                            kind: domain.kind, unit: unit, tables: geometry(domain.id), parent: geometry(domain.parent))
                    )
                })
            shared = Set(
                // All that passes unchanged is one domain to an engine, and one per unit and tag to an importer.
                Dictionary(grouping: live.filter { geometry($0.domain) != nil }, by: \.domain).values.map { group in
                    Set(group.map { "\($0.requester)#\($0.pasid.label)" })
                })
            lookup = snapshot.lookupPages
            tables = [:]
            for pages in snapshot.tablePages { tables[geometry(pages.domain)!.root] = pages.pages }
            mapped = []
            for hwpt in snapshot.hwpts {
                guard let root = geometry(hwpt.domain)?.root,
                    snapshot.domains.contains(where: { $0.id == hwpt.domain && $0.kind == .paging })
                else { continue }
                for area in snapshot.areas where area.ioas == hwpt.ioas {
                    let base = snapshot.backings.first { $0.id == area.backing }?.base.rawValue ?? 0
                    mapped.insert(
                        Mapped(
                            root: root, range: area.range, pa: base + area.offset, protection: area.protection))
                }
            }
        }
    }

    /// One kind of unit with the tables of its domains.
    enum Flavour: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case legacy, secondStage, firstStage, vtdNested, amdV1, amdV2, amdNested
        var testDescription: String { rawValue }
        var isAMD: Bool { [.amdV1, .amdV2, .amdNested].contains(self) }
        var hasPASIDs: Bool { self != .legacy && self != .amdV1 }
        var isNested: Bool { self == .vtdNested || self == .amdNested }
        var format: PageTableFormatKind? { self == .firstStage || self == .amdV2 ? .x86_64 : nil }

        func unit(_ id: UInt32) -> UnitDescription {
            let base = PhysicalAddress(0xfed9_0000 + UInt64(id) << 12)
            if isAMD {
                let features = AMDExtendedFeatures(hostLevels: 6, guestLevels: 4)
                return UnitDescription(
                    id: UnitID(id), kind: .amdVi, registerBase: base,
                    registers: [.init("control", 0), .init("devtab", 0), .init("efr", features.rawValue)])
            }
            let ecap =
                self == .legacy
                ? VTDExtendedCapability(snoopControl: true) : VTDExtendedCapability(scalable: .all)
            return UnitDescription(
                id: UnitID(id), registerBase: base,
                registers: [
                    .init(
                        "cap",
                        VTDCapability(
                            widths: [.bits39, .bits48], maximumGuestAddressWidth: 48, firstStage1G: true
                        ).rawValue),
                    .init("ecap", ecap.rawValue), .init("gsts", 0), .init("rtaddr", 0),
                ])
        }
    }

    private static let arena = PhysicalRange(first: PhysicalAddress(0x20_0000), bytes: 2048 << 12)!
    private static let guest = PhysicalRange(first: PhysicalAddress(0x100_0000), bytes: 0x10000)!
    private static let handover = PhysicalAddress(0x10_0000)

    /// Builds the machine in the memory file at `path`, and answers what the engine says of it.
    private func build(_ flavours: [Flavour], at path: String) throws -> Snapshot {
        var devices: [MachineDevice] = []
        for (index, _) in flavours.enumerated() {
            for device in UInt8(1)...6 {
                devices.append(
                    MachineDevice(
                        requester: RequesterID(bus: UInt8(index * 0x20), device: device, function: UInt8(index))!,
                        unit: UnitID(UInt32(index + 1)), group: GroupID(UInt32(index * 8) + UInt32(device)),
                        driver: "vfio-pci", pasidBits: 20))
            }
        }
        let page = PhysicalRange(first: Self.handover, bytes: 4096)!
        let machine = try Machine(
            memory: try MachineMemory.file([page, Self.arena, Self.guest], at: path),
            ramRanges: [PhysicalRange(first: PhysicalAddress(0x10_0000), bytes: 64 << 20)!],
            arenaRanges: [Self.arena], handoverPage: Self.handover,
            units: flavours.enumerated().map { $1.unit(UInt32($0 + 1)) }, devices: devices)
        var engine = try LiveEngine.start(machine) { _ in }
        for (index, flavour) in flavours.enumerated() {
            try populate(&engine, flavour, UnitID(UInt32(index + 1)), devices.filter { $0.unit.rawValue == index + 1 })
        }
        #expect(engine.checkInvariants() == [])
        let session = try engine.createSession("s")
        for device in devices { try engine.preserve(device.requester, in: session) }
        guard case .frozen(let frozen) = engine.freeze() else { throw CocoaError(.featureUnsupported) }
        #expect(frozen.cleared.isEmpty)
        // The registers are those that the engine set.
        try Data(try MachineDescription(of: machine, name: "round", image: "memory.elf").json()).write(
            to: URL(fileURLWithPath: path + ".json"))
        return frozen.snapshot()
    }

    /// Two domains shared by devices, one of its own, pass-through, and behind PASIDs 1, 63, 64 and 2^20 - 1 some of them.
    private func populate(
        _ engine: inout LiveEngine, _ flavour: Flavour, _ unit: UnitID, _ devices: [MachineDevice]
    ) throws {
        let backing = try engine.addBacking(.memfd, base: PhysicalAddress(0x10_0000_0000), byteCount: 1 << 34)
        var hwpts: [HWPTID] = []
        for number in 0..<3 {
            let ioas = try engine.createIOAS()
            let hwpt = try engine.createHWPT(ioas: ioas, unit: unit, format: flavour.format)
            var random = SplitMix64(seed: UInt64(unit.rawValue) << 8 | UInt64(number))
            if flavour.isNested {
                // The guest's own memory, at its address 0.
                let guest = try engine.addBacking(.memfd, base: Self.guest.first, byteCount: 0x10000)
                try engine.map(ioas: ioas, iova: IOVA(0), byteCount: 0x10000, backing: guest, protection: .readWrite)
            }
            for _ in 0..<40 {
                let shift = [12, 12, 14, 16, 21, 24].randomElement(using: &random)!
                let count = UInt64.random(in: 1...3, using: &random) << UInt64(shift)
                let limit: UInt64 = 1 << 38
                let iova = UInt64.random(in: 0..<limit, using: &random) & (~0 << UInt64(shift))
                let offset = UInt64.random(in: 0..<1 << 33, using: &random) & (~0 << UInt64(shift))
                let protection = [Protection.read, .readWrite, .readWrite].randomElement(using: &random)!
                try? engine.map(
                    ioas: ioas, iova: IOVA(iova), byteCount: count, backing: backing, offset: offset,
                    protection: protection)
            }
            try engine.mark(hwpt, token: UInt64(unit.rawValue) << 8 | UInt64(number))
            hwpts.append(hwpt)
        }
        var targets = hwpts
        if flavour.isNested {
            writeGuestTables(engine.machine)
            for (number, host) in hwpts.enumerated() {
                let nested = try engine.createNestedHWPT(
                    parent: host, unit: unit, root: PhysicalAddress(number == 2 ? 0x4000 : 0))
                try engine.mark(nested, token: 0x1000 | UInt64(unit.rawValue) << 8 | UInt64(number))
                targets[number] = nested
            }
        }
        for device in devices { try engine.claimOwner(device.group, token: 7) }
        try engine.attach(devices[0].requester, to: targets[0])
        try engine.attach(devices[1].requester, to: targets[0])
        try engine.attach(devices[2].requester, to: hwpts[1])
        try engine.attachIdentity(devices[3].requester)
        try engine.attach(devices[4].requester, to: targets[2])
        try engine.attach(devices[5].requester, to: targets[1])
        guard flavour.hasPASIDs else { return }
        for (index, number) in [UInt32(1), 63, 64, 0xf_ffff].enumerated() {
            // The requests of one AMD device go through one second stage.
            let first = flavour == .amdNested ? targets[0] : targets[index % 2]
            try engine.attach(devices[0].requester, pasid: PASID(number)!, to: first)
            try engine.attach(
                devices[4].requester, pasid: PASID(number)!, to: flavour == .amdNested ? targets[2] : targets[1])
        }
    }

    /// Two guest trees: at 0 and at 0x4000, both mapping some pages of the guest's memory.
    private func writeGuestTables(_ machine: Machine) {
        func set(_ page: UInt64, _ index: UInt64, _ word: UInt64) {
            #expect(machine.memory.setWord(word, at: PhysicalAddress(Self.guest.first.rawValue + page + index * 8)))
        }
        for root in [0, 0x4000] as [UInt64] {
            set(root, 0, root + 0x1000 | 0x27)
            set(root + 0x1000, 3, root + 0x2000 | 0x27)
            set(root + 0x2000, 5, root + 0x3000 | 0x27)
            for index in 0..<8 as Range<UInt64> { set(root + 0x3000, index * 3, 0x8000 + index << 12 | 0x67) }
        }
    }

    private static let machines: [[Flavour]] =
        Flavour.allCases.map { [$0] } + [[.secondStage, .amdV2, .legacy], [.amdV1, .vtdNested]]

    @Test("The importer finds exactly the state that the engine had", arguments: machines)
    func roundTrip(flavours: [Flavour]) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/round-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/memory.elf"
        let sealed = try build(flavours, at: path)
        let image = try MachineImage(file: path, metadata: try ImageMetadata(file: path + ".json"))
        let imported = try Importer.importMachine(image)
        let (before, after) = (Facts(sealed), Facts(imported))
        #expect(before.units == after.units)
        #expect(before.attachments.subtracting(after.attachments).isEmpty)
        #expect(after.attachments.subtracting(before.attachments).isEmpty)
        #expect(before.shared == after.shared)
        #expect(before.lookup == after.lookup)
        #expect(Set(before.tables.keys) == Set(after.tables.keys))
        for (root, pages) in before.tables { #expect(after.tables[root] == pages, "tables at \(root)") }
        #expect(before.mapped.count > 30 && Self.merged(before.mapped) == Self.merged(after.mapped))
        for snapshot in [sealed, imported] {
            #expect(try Checker().check(snapshot).filter { $0.severity != .note }.map(\.description) == [])
        }
        #expect(try RecordedMachine(sealed).mappings() == RecordedMachine(imported).mappings())
    }

    /// Runs that continue each other, joined: an importer cannot see where one map call ended and the next began.
    private static func merged(_ mapped: Set<Facts.Mapped>) -> [Facts.Mapped] {
        var result: [Facts.Mapped] = []
        for next in mapped.sorted(by: { ($0.root, $0.range) < ($1.root, $1.range) }) {
            if let last = result.last, last.root == next.root,
                last.range.last.rawValue + 1 == next.range.first.rawValue,
                last.pa + last.range.lastOffset + 1 == next.pa, last.protection == next.protection
            {
                result[result.count - 1].range = IOVARange(first: last.range.first, last: next.range.last)!
            } else {
                result.append(next)
            }
        }
        return result
    }
}
