import IOMMUModel
import Snapshot
import Testing

@testable import Validate

/// On one unit, a cache tag and the PASID beside it stand for one root.
@Suite struct CacheKeyTests {
    static let tag: UInt32 = 5

    /// A sound machine, the first device attached with two PASIDs to a nested domain each, both under the tag of domain 1.
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
}
