import Hardware
import IOMMUModel
import Snapshot
import Testing

@testable import Validate

/// On one unit, a cache tag and the PASID beside it stand for one root.
@Suite struct CacheKeyTests {
    static let tag: UInt32 = 5

    /// A sound machine, the first device attached with two PASIDs to a nested domain each, both under the tag of domain
    /// 1.
    static func machine(
        roots: (UInt64, UInt64) = (0x1000, 0x2000), parents: (UInt32, UInt32) = (1, 1), keys: (UInt32?, UInt32?)
    ) throws -> TestMachine {
        var machine = try TestMachine()
        for (number, (root, parent, key)) in [(roots.0, parents.0, keys.0), (roots.1, parents.1, keys.1)].enumerated() {
            let id = DomainID(10 + UInt32(number))
            machine.nest(id, in: DomainID(parent))
            let unit = machine.snapshot.domainUnits.count - 1
            machine.snapshot.domainUnits[unit].tables?.root = PhysicalAddress(root)
            machine.snapshot.attachments.append(
                AttachmentRecord(
                    requester: TestMachine.first, pasid: PASID(UInt32(number + 1)), domain: id, cacheTag: tag,
                    cachePASID: key.flatMap { PASID($0) }, entryAddress: nil))
        }
        return machine
    }

    static func collisions(_ machine: TestMachine) throws -> [Finding] {
        try machine.check().filter { $0.rule == .cacheTagCollision }
    }

    @Test func `one tag with two PASIDs stands for two roots`() throws {
        #expect(try Self.collisions(Self.machine(keys: (1, 2))) == [])
    }

    @Test func `one tag with one PASID stands for one root`() throws {
        let found = try Self.collisions(Self.machine(keys: (7, 7)))
        #expect(found.map(\.device) == [TestMachine.first])
        #expect(found.map(\.pasid) == [PASID(2)])
        #expect(found.first?.message.contains("cache tag 5 with PASID 0x7") == true)
        #expect(try Self.collisions(Self.machine(roots: (0x1000, 0x1000), keys: (7, 7))) == [])
    }

    @Test func `a second root is told once, under the first device and PASID that has it`() throws {
        var machine = try Self.machine(keys: (7, 7))
        var again = try #require(machine.snapshot.attachments.last)
        again.pasid = PASID(3)
        machine.snapshot.attachments.append(again)
        #expect(try Self.collisions(machine).map(\.pasid) == [PASID(2)])
    }

    @Test func `one root in two parents is two roots`() throws {
        let found = try Self.collisions(Self.machine(roots: (0x1000, 0x1000), parents: (1, 2), keys: (7, 7)))
        #expect(found.count == 1)
    }

    @Test func `a key without a PASID is none with PASID 0`() throws {
        #expect(try Self.collisions(Self.machine(keys: (0, 1))) == [])
        // The tag alone is the key of domain 1.
        #expect(try Self.collisions(Self.machine(keys: (nil, 1))).count == 1)
    }

    @Test func `a domain under two tags is no collision`() throws {
        var machine = try TestMachine()
        machine.snapshot.attachments.append(
            AttachmentRecord(
                requester: TestMachine.first, pasid: PASID(1), domain: DomainID(1), cacheTag: 77, entryAddress: nil))
        #expect(try Self.collisions(machine) == [])
        #expect(machine.snapshot.cacheTags[DomainID(1)]?.map(\.tag) == [5, 77])
    }

    /// A machine with PASIDs whose entries are as `edit` leaves them, recorded.
    static func entries(
        _ vendor: PASIDMachine.Vendor, _ edit: (inout PASIDMachine) -> Void
    ) throws -> [Finding] {
        var machine = try PASIDMachine(vendor)
        edit(&machine)
        // Only what stands in memory counts here.
        machine.snapshot.attachments = []
        try machine.record()
        return try machine.check().filter { $0.rule == .cacheTagCollision }
    }

    @Test(arguments: PASIDMachine.Vendor.allCases)
    func `a healthy host with PASIDs has no collision`(vendor: PASIDMachine.Vendor) throws {
        // One DID with several PASIDs for two first-stage domains is among its entries, and shared domains.
        #expect(try Self.entries(vendor) { _ in } == [])
    }

    @Test func `VT-d: two second stages under one DID collide, whatever their PASIDs`() throws {
        let (first, second) = (PASIDMachine.first, PASIDMachine.second)
        let found = try Self.entries(.intel) {
            $0.enter(first, 2, VTDPASIDEntry(secondStage: $0.roots[1]!, width: .bits48, domainID: 20))
            $0.enter(second, 3, VTDPASIDEntry(secondStage: $0.roots[5]!, width: .bits48, domainID: 20))
        }
        #expect(found.map(\.device) == [second] && found.map(\.pasid) == [PASID(3)])
        #expect(found.first?.message.contains("DID 20 stands for root") == true)
    }

    @Test func `VT-d: a first stage and a second one under one DID do not collide`() throws {
        #expect(
            try Self.entries(.intel) {
                $0.enter(
                    PASIDMachine.second, 3, VTDPASIDEntry(firstStage: $0.roots[2]!, isFiveLevel: false, domainID: 5))
            } == [])
    }

    @Test func `VT-d: one DID and PASID on two devices stand for one first stage`() throws {
        let second = PASIDMachine.second
        func found(_ root: UInt32) throws -> [Finding] {
            try Self.entries(.intel) {
                $0.enter(second, 64, VTDPASIDEntry(firstStage: $0.roots[root]!, isFiveLevel: false, domainID: 6))
            }
        }
        #expect(try found(2) == [])
        #expect(try found(3).map(\.pasid) == [PASID(64)])
    }

    @Test func `VT-d: pass-through never collides`() throws {
        #expect(
            try Self.entries(.intel) {
                $0.enter(PASIDMachine.passing, 0, VTDPASIDEntry(passThroughWith: 5))
                $0.enter(PASIDMachine.passing, 1, VTDPASIDEntry(passThroughWith: 6))
            } == [])
    }

    @Test func `AMD: guest tables under a DomainID of host tables do not collide`() throws {
        #expect(
            try Self.entries(.amd) {
                $0.enter(
                    PASIDMachine.first,
                    AMDDeviceTableEntry(v2GCR3Root: $0.directories[PASIDMachine.first]!, glx: 1, domainID: 5))
            } == [])
    }

    @Test func `AMD: guest tables are told apart by DomainID and PASID`() throws {
        let (first, other) = (PASIDMachine.first, PASIDMachine.passing)
        func found(_ pasid: UInt32, _ root: UInt32) throws -> [Finding] {
            try Self.entries(.amd) {
                $0.directories[other] = $0.frame()
                $0.enter(other, AMDDeviceTableEntry(v2GCR3Root: $0.directories[other]!, glx: 1, domainID: 6))
                $0.write(AMDGCR3Entry(pointer: $0.roots[root]!).rawValue, $0.entry(other, pasid))
            }
        }
        #expect(try found(1, 2) == [])
        #expect(try found(2, 3) == [])
        let collision = try found(1, 3)
        #expect(collision.map(\.device) == [other] && collision.map(\.pasid) == [PASID(1)])
        #expect(collision.first?.message.contains("DomainID 6 with PASID 0x1 stands for root") == true)
        #expect(collision.first?.message.hasSuffix("at \(first)#0x1") == true)
    }

    @Test func `AMD: two host trees under one DomainID collide`() throws {
        let found = try Self.entries(.amd) {
            $0.enter(PASIDMachine.passing, AMDDeviceTableEntry(v1Root: $0.roots[5]!, mode: 4, domainID: 5))
        }
        #expect(found.map(\.device) == [PASIDMachine.passing])
    }
}
