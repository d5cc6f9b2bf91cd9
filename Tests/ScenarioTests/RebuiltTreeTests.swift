import Engine
import Handover
import Hardware
import IOMMUModel
import PageTables
import Restore
import Snapshot
import Testing

/// An engine that dies when it has switched every request and sealed nothing: the next one finds the rebuilt trees, each
/// once, under all the tags that lead to it, and goes on to the end.
@Suite("Rebuilt trees are found again")
struct RebuiltTreeTests {
    /// One domain, and two requests that have other tags.
    enum Sharing: CaseIterable, Sendable {
        /// Two VT-d units: the domain has a tag on each.
        case intelUnits
        /// The same for a nested domain.
        case intelNested
        /// Two AMD units, likewise.
        case amdUnits
        /// Two devices behind an AMD unit, whose PASIDs go through guests' tables: each device has a tag.
        case amdDevices
        /// The same over host tables, the two PASIDs of one device through one nested domain.
        case amdNested

        var isAMD: Bool { self != .intelUnits && self != .intelNested }
        var isNested: Bool { self == .intelNested || self == .amdNested }
        var unitCount: UInt32 { self == .amdDevices || self == .amdNested ? 1 : 2 }
    }

    private static let devices = ["00:03.0", "00:04.0"].map { RequesterID($0)! }
    private static let tag = PASID(5)!
    private static let other = PASID(0x4_0000)!
    /// The area that is mapped, and guest's memory with the guest's tables.
    private static let buffer: UInt64 = 0x300_0000
    private static let iova: UInt64 = 0x40_0000

    private static func machine(_ sharing: Sharing) throws -> Machine {
        let ram = PhysicalRange(first: PhysicalAddress(0x10_0000), bytes: 64 << 20)!
        var memory = PhysicalMemory()
        try memory.add(at: ram.first, byteCount: 64 << 20, region: .anonymous(bytes: 64 << 20))
        let registers: [UnitDescription.Register] =
            sharing.isAMD
            ? [
                .init("devtab", 0), .init("control", 0),
                .init("efr", AMDExtendedFeatures(hostLevels: 6, guestLevels: 4).rawValue),
            ]
            : [
                .init("rtaddr", 0), .init("gsts", 0),
                .init("cap", VTDCapability(widths: [.bits48], maximumGuestAddressWidth: 48).rawValue),
                .init("ecap", VTDExtendedCapability(scalable: .all).rawValue),
            ]
        return try Machine(
            memory: memory, ramRanges: [ram],
            arenaRanges: [PhysicalRange(first: PhysicalAddress(0x20_0000), bytes: 1024 * 4096)!],
            handoverPage: ram.first,
            units: (1...sharing.unitCount).map {
                UnitDescription(
                    id: UnitID($0), kind: sharing.isAMD ? .amdVi : .intelVTd,
                    registerBase: PhysicalAddress(0xfed9_0000 + UInt64($0) << 12), registers: registers)
            },
            devices: devices.enumerated().map { number, requester in
                MachineDevice(
                    requester: requester, unit: UnitID(min(sharing.unitCount, UInt32(number + 1))),
                    group: GroupID(UInt32(number)), driver: "vfio-pci", pasidBits: 20)
            }, reservedRegions: [])
    }

    /// The requests that share the domain.
    private static func keys(_ sharing: Sharing) -> [AttachmentKey] {
        switch sharing {
        case .intelUnits, .intelNested, .amdUnits: devices.map { AttachmentKey($0) }
        case .amdDevices: devices.map { AttachmentKey($0, tag) }
        case .amdNested: [tag, other].map { AttachmentKey(devices[0], $0) } + [AttachmentKey(devices[1], tag)]
        }
    }

    /// An engine with every one of ``keys(_:)`` on one domain, and each device's untagged requests on one of its own.
    private static func start(_ sharing: Sharing) throws -> LiveEngine {
        let machine = try machine(sharing)
        var engine = try LiveEngine.start(machine) { _ in }
        let file = try engine.addBacking(.memfd, base: PhysicalAddress(buffer), byteCount: 1 << 20)
        let isGuests = sharing == .amdDevices
        func space(_ iova: UInt64, _ token: UInt64, _ engine: inout LiveEngine) throws -> HWPTID {
            let ioas = try engine.createIOAS()
            let hwpt = try engine.createHWPT(
                ioas: ioas, unit: UnitID(1), format: isGuests ? .x86_64 : sharing.isAMD ? .amdV1 : nil)
            try engine.map(
                ioas: ioas, iova: IOVA(iova), byteCount: 0x4_0000, backing: file, protection: .readWrite)
            try engine.mark(hwpt, token: token)
            return hwpt
        }
        var shared = try space(sharing.isNested ? 0 : iova, 1, &engine)
        if sharing.isNested {
            for (page, index, word) in [
                (0, 0, 0x1000), (0x1000, 0, 0x2000), (0x2000, 2, 0x3000), (0x3000, 0, 0x8000),
            ] as [(UInt64, UInt64, UInt64)] {
                #expect(machine.memory.setWord(word | 0x67, at: PhysicalAddress(buffer + page + index * 8)))
            }
            let host = shared
            shared = try engine.createNestedHWPT(parent: host, unit: UnitID(1), root: PhysicalAddress(0))
            try engine.mark(shared, token: 2)
        }
        for (number, requester) in devices.enumerated() {
            try engine.claimOwner(GroupID(UInt32(number)), token: 7)
            let own = keys(sharing).filter { $0.requester == requester }
            for key in own { try engine.attach(requester, pasid: key.pasid, to: shared) }
            guard own.allSatisfy({ $0.pasid != nil }) else { continue }
            if sharing == .amdNested {
                try engine.attach(requester, to: shared)
            } else {
                try engine.attach(requester, to: try space(iova, 10 + UInt64(number), &engine))
            }
        }
        return engine
    }

    private static func expectReached(
        _ sharing: Sharing, _ machine: Machine, sourceLocation: SourceLocation = #_sourceLocation
    ) {
        let offset: UInt64 = sharing.isNested ? 0x8123 : 0x123
        for key in keys(sharing) {
            let outcome = machine.dma(key.requester, pasid: key.pasid, iova: IOVA(iova + 0x123), access: .read)
            #expect(outcome == .address(PhysicalAddress(buffer + offset)), "\(key)", sourceLocation: sourceLocation)
        }
    }

    private final class Log {
        var events: [Event] = []
    }

    @Test("Under all its tags, once", arguments: Sharing.allCases)
    func found(sharing: Sharing) throws {
        var old = try Self.start(sharing)
        let session = try old.createSession("s")
        for requester in Self.devices { try old.preserve(requester, in: session) }
        let machine = old.machine
        guard case .frozen(let frozen) = old.freeze() else {
            Issue.record("the freeze was refused")
            return
        }
        let recorded = frozen.snapshot()
        _ = frozen.jump()
        Self.expectReached(sharing, machine)

        let log = Log()
        var dead = try Restorer.restore(recorded, machine: machine, configuration: .init()) { log.events.append($0) }
        #expect(dead.foundReplaced.isEmpty)
        var before = Claimer(
            recorded, sessions: dead.sessions, attached: dead.domains, devices: Set(Self.devices))
        _ = try before.claim(&dead.engine)
        _ = try before.adopt(&dead.engine)
        _ = try before.rebuild(&dead.engine)
        #expect(before.compare(&dead.engine).differing.isEmpty)
        before.announce(&dead.engine)
        let all = try before.replace(&dead.engine)
        #expect(all.refused.isEmpty)
        #expect(dead.engine.checkInvariants() == [])
        Self.expectReached(sharing, machine)

        var next = try Restorer.restore(
            recorded, machine: machine, evidence: ReplaceEvidence(log.events), configuration: .init()
        ) { _ in }
        #expect(next.foundReplaced.sorted() == all.replaced.sorted())
        #expect(next.devices.allSatisfy { $0.state == .restored }, "\(next.devices)")
        let domains = Set(Self.keys(sharing).compactMap { next.domains[$0]?.engine })
        #expect(domains.count == 1)
        let domain = try #require(domains.first)
        if sharing.unitCount == 2 {
            let tags = next.engine.domain(domain)?.cacheTags
            #expect(tags?.map(\.unit) == [UnitID(1), UnitID(2)])
        }
        #expect(next.engine.checkInvariants() == [])
        Self.expectReached(sharing, machine)

        var after = Claimer(
            recorded, sessions: next.sessions, attached: next.domains, devices: Set(Self.devices))
        _ = try after.claim(&next.engine)
        _ = try after.adopt(&next.engine)
        _ = try after.rebuild(&next.engine)
        #expect(after.compare(&next.engine).differing.isEmpty)
        after.announce(&next.engine)
        let again = try after.replace(&next.engine)
        #expect(again.refused.isEmpty)
        try after.finish(&next.engine)
        #expect(next.engine.checkInvariants() == [])
        Self.expectReached(sharing, machine)
        // The found tree is gone, with every tag that was its own: what is left is what the attachments need.
        #expect(next.engine.domain(domain) == nil)
        for unit in machine.units {
            let attached = next.engine.attachments.filter { machine.device($0.requester)?.unit == unit.id }
            let needed = Set(
                attached.compactMap(\.space?.tag)
                    + next.engine.domains.flatMap(\.cacheTags).filter { $0.unit == unit.id }.map(\.cacheTag))
            #expect(Set(next.engine.cacheTagsInUse(on: unit.id)) == needed)
        }
    }
}
