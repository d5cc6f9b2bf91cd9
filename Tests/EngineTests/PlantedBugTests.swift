import Foundation
import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// What an operation with a bug could leave behind: one for each sentence that ``LiveEngine/checkInvariants()`` can say.
enum PlantedBug: String, CaseIterable, Sendable {
    case noDomain = " has no domain"
    case deadDomain = ", which does not exist"
    case forgottenUser = " does not know its user "
    case otherEntry = ": the entry in memory is not domain "
    case strayEntry = " has an entry in memory and no attachment"
    case sharedTag = " belongs to domains "
    case freeTag = " is free on unit "
    case keptUser = ", which left it"
    case hwptLink = " disagree"
    case noOwner = " is attached without an owner"
    case splitGroup = " does not follow its group "
    case preservedCount = " preserved devices, there are "
    case sharedFrame = "frame * belongs to "
    case freeFrame = " can be allocated again"
    case lostFrame = " is allocated, but nobody's"
    case overlap = " overlap at "
    case forbidden = " is not permitted"
    case noTables = " has no tables"
    case noMemory = " has no memory"
    case otherAddress = ": the tables differ at "
    case moreMapped = ", the areas of IOAS "
    case staleContext = "stale context entry"
    case staleTranslation = "stale iotlb entry"

    /// What the sentence has in it: `*` stands for anything.
    var parts: [String] { rawValue.split(separator: "*").map(String.init) }
}

@Suite struct PlantedBugTests {
    /// Devices on address spaces of their own, a group of two, requests with a PASID, a device that is preserved.
    struct Ground: ~Copyable {
        var engine: LiveEngine
        let ioas: IOASID
        let hwpt: HWPTID
        let other: HWPTID
        let one = TestMachine.rid("00:03.0")
        let pair = TestMachine.rid("01:00.0")
        let pasid = PASID(9)!

        static func make(_ flavour: UnitFlavour) throws -> Ground {
            var engine = try LiveEngine.start(try flavour.machine()) { _ in }
            let (ioas, hwpt) = try engine.space(flavour)
            let (_, other) = try engine.space(flavour)
            var ground = Ground(engine: engine, ioas: ioas, hwpt: hwpt, other: other)
            try ground.fill()
            return ground
        }

        private init(engine: consuming LiveEngine, ioas: IOASID, hwpt: HWPTID, other: HWPTID) {
            self.engine = engine
            (self.ioas, self.hwpt, self.other) = (ioas, hwpt, other)
        }

        private mutating func fill() throws {
            let file = try engine.addBacking(.memfd, base: LifecycleStage.file, byteCount: 1 << 30)
            try engine.map(
                ioas: ioas, iova: IOVA(0x40_0000), byteCount: 0x40_1000, backing: file, protection: .readWrite)
            try engine.map(ioas: ioas, iova: IOVA(0x1000), byteCount: 0x2000, backing: file, protection: .readWrite)
            try engine.own(one, on: hwpt)
            try engine.attach(one, pasid: pasid, to: other)
            try engine.own(pair, on: other)
            try engine.mark(hwpt, token: 1)
            try engine.mark(other, token: 2)
            try engine.preserve(one, in: try engine.createSession("s"))
            // What the caches hold is right so far.
            for address: UInt64 in [0x1000, 0x40_0000] {
                _ = engine.machine.dma(one, iova: IOVA(address), access: .read)
            }
        }

        /// Leaves what the bug would.
        mutating func plant(_ bug: PlantedBug) throws {
            let key = AttachmentKey(one)
            let tagged = AttachmentKey(one, pasid)
            let domain = try #require(engine.hwptTable[hwpt]?.domain)
            let second = try #require(engine.hwptTable[other]?.domain)
            let machine = engine.machine
            let unit = try #require(machine.unit(TestMachine.unit))
            let device = try #require(machine.device(one))
            let tables = unit.lookupTables(memory: machine.memory.view)
            let root = try #require(engine.domainTable[domain]?.table?.root)
            switch bug {
            case .noDomain:
                engine.domainTable[domain]!.users.remove(key)
                engine.attachmentTable[key] = nil
            case .deadDomain:
                engine.domainTable[domain]!.users.remove(key)
                engine.attachmentTable[key]!.domain = DomainID(9999)
            case .forgottenUser: engine.domainTable[domain]!.users.remove(key)
            case .otherEntry: engine.noteMoved(key, to: second)
            case .strayEntry:
                engine.domainTable[second]!.users.remove(tagged)
                engine.attachmentTable[tagged] = nil
                engine.pasidTable[one] = nil
            case .sharedTag:
                let tag = try #require(engine.domainTable[domain]?.cacheTags.first)
                engine.domainTable[second]!.cacheTags.append(tag)
            case .freeTag:
                engine.domainTable[domain]!.cacheTags.append(.init(unit: TestMachine.unit, cacheTag: 901))
            case .keptUser: engine.domainTable[second]!.users.insert(key)
            case .hwptLink: engine.domainTable[domain]!.hwpt = other
            case .noOwner: engine.groupTable[GroupID(3)]!.owner = .none
            case .splitGroup: engine.noteMoved(AttachmentKey(TestMachine.rid("01:00.1")), to: domain)
            case .preservedCount: engine.ioasTable[ioas]!.preservedCount += 1
            case .sharedFrame: engine.domainTable[second]!.table = engine.domainTable[domain]!.table
            case .freeFrame: _ = engine.arena.free(root)
            case .lostFrame: _ = engine.arena.allocate(memory: machine.memory.view)
            case .overlap: engine.ioasTable[ioas]!.areas.insert(engine.ioasTable[ioas]!.areas[0], at: 0)
            case .forbidden: engine.ioasTable[ioas]!.allowed = [IOVARange(first: IOVA(0x1000), bytes: 0x1000)!]
            case .noTables: engine.domainTable[domain]!.table = nil
            case .noMemory: engine.backingTable[engine.ioasTable[ioas]!.areas[0].backing] = nil
            case .otherAddress:
                let area = engine.ioasTable[ioas]!.areas[0]
                engine.ioasTable[ioas]!.areas[0] = IOPTArea(
                    range: area.range, backing: area.backing, offset: area.offset + 0x1000, protection: area.protection)
            case .moreMapped: engine.ioasTable[ioas]!.areas.removeLast()
            case .staleContext:
                if let entry = tables.deviceEntry(device) { tables.block(entry) }
            case .staleTranslation:
                // A leaf goes, and the caches are not told.
                let trace = Walker.trace(
                    engine.domainTable[domain]!.table!.configuration, root: root, memory: machine.memory.view,
                    iova: IOVA(0x1000), access: .read)
                _ = machine.memory.setWord(0, at: try #require(trace.steps.last?.entryAddress))
            }
        }
    }

    @Test(arguments: UnitFlavour.tagged, PlantedBug.allCases)
    func `a planted bug is found by the invariant that is there for it`(flavour: UnitFlavour, bug: PlantedBug) throws {
        var ground = try Ground.make(flavour)
        let before = ground.engine.checkInvariants()
        #expect(before == [])
        // On VT-d's first stage and AMD's guest tables the PASID is part of the key: one tag may stand for several.
        if bug == .sharedTag, flavour.format == .x86_64 { return }
        try ground.plant(bug)
        let found = ground.engine.checkInvariants()
        #expect(found.contains { text in bug.parts.allSatisfy { text.contains($0) } }, "\(bug): \(found)")
    }

    @Test func `there is a planted bug for every invariant`() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().appending(path: "Sources/Engine/Live/LiveEngine+Invariants.swift")
        let text = try String(contentsOf: file, encoding: .utf8)
        // Each sentence is appended; stale entries come from the machine.
        let sentences = text.components(separatedBy: "result.append(").count - 1
        #expect(sentences == PlantedBug.allCases.count - 2)
    }
}
