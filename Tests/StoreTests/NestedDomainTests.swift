import Foundation
import IOMMUModel
import SQLite
import Snapshot
import Testing

@testable import Store

@Suite("Nested domains, cache tags and PASIDs in a file")
struct NestedDomainTests {
    /// One device; a paging domain, and one nested in it with a lower id.
    static func snapshot() -> Snapshot {
        var snapshot = Snapshot(origin: .engine)
        let requester = RequesterID(segment: 0, rid: 0x18)
        snapshot.units = [
            UnitRecord(
                id: UnitID(0), kind: .intelVTd, segment: 0, registerBase: PhysicalAddress(0xfed9_0000),
                hostAddressWidth: 46, registers: [], encryptionBit: 47, accessedDirty: true)
        ]
        snapshot.groups = [GroupRecord(id: GroupID(1), owner: .vfio)]
        snapshot.devices = [DeviceRecord(requester: requester, unit: UnitID(0), group: GroupID(1), preserved: true)]
        snapshot.domains = [
            DomainRecord(id: DomainID(2), kind: .nested, holder: .session, parent: DomainID(5), preserved: true),
            DomainRecord(id: DomainID(5), kind: .paging, holder: .session, preserved: true),
        ]
        snapshot.domainUnits = [
            DomainUnitRecord(
                domain: DomainID(2), unit: UnitID(0),
                tables: .init(
                    format: .x86_64, root: PhysicalAddress(0x1000_0000), topLevel: 4, addressBits: 57,
                    signExtended: true,
                    hardwareUpdatedMask: 0x60)),
            DomainUnitRecord(
                domain: DomainID(5), unit: UnitID(0),
                tables: .init(
                    format: .vtdSecondStage, root: PhysicalAddress(0x7f00_1000), topLevel: 3, addressBits: 48,
                    hardwareUpdatedMask: 0x300)),
        ]
        func attachment(_ pasid: UInt32?, _ domain: UInt32, tag: UInt32, key: UInt32?) -> AttachmentRecord {
            AttachmentRecord(
                requester: requester, pasid: pasid.flatMap { PASID($0) }, domain: DomainID(domain), cacheTag: tag,
                cachePASID: key.flatMap { PASID($0) }, entryAddress: PhysicalAddress(0x7f01_3000))
        }
        snapshot.attachments = [
            attachment(nil, 5, tag: 1, key: nil), attachment(1, 5, tag: 2, key: nil),
            attachment(63, 2, tag: 1, key: 63), attachment(64, 2, tag: 1, key: 64),
            attachment(PASID.maximum, 2, tag: 9, key: PASID.maximum),
        ]
        return snapshot
    }

    /// A fresh generation of `snapshot`, read back.
    static func written(_ snapshot: Snapshot, _ folder: Folder) throws -> GenerationReader {
        _ = try FreshGeneration.write(snapshot, to: folder["a"])
        return try GenerationReader(path: folder["a"])
    }

    @Test("Parents, several tags of one domain and PASIDs at the ends of their range read back")
    func roundTrip() throws {
        let folder = try Folder()
        let reader = try Self.written(Self.snapshot(), folder)
        #expect(reader.defects() == [])
        let back = try reader.snapshot()
        #expect(back == Self.snapshot())
        #expect(back.domains[0].parent == DomainID(5))
        #expect(back.attachments.map(\.pasid?.rawValue) == [nil, 1, 63, 64, 0xf_ffff])
        let tags = back.cacheTags
        #expect(tags[DomainID(5)]?.map(\.tag) == [1, 2])
        #expect(tags[DomainID(2)]?.map(\.tag) == [1, 9])
    }

    @Test("The views say parent, cache key, geometry and the unit's own bits")
    func views() throws {
        let folder = try Folder()
        let reader = try Self.written(Self.snapshot(), folder)
        func column(_ name: String, of view: String) throws -> [SQLValue] {
            let (columns, rows) = try reader.rows(ofView: view)
            let index = try #require(columns.firstIndex(of: name))
            return rows.map { $0[index] }
        }
        #expect(try column("parent", of: "domain_view") == [.integer(5), .null])
        #expect(try column("sign_extended", of: "domain_view") == [.integer(1), .integer(0)])
        #expect(
            try column("hardware_updated_mask", of: "domain_view")
                == [.text("0x0000000000000060"), .text("0x0000000000000300")])
        #expect(try column("attachments", of: "domain_view") == [.integer(3), .integer(2)])
        #expect(try column("cache_tag", of: "attachment_view") == [1, 2, 1, 1, 9].map { .integer($0) })
        #expect(
            try column("cache_pasid", of: "attachment_view")
                == [.null, .null, .text("0x3f"), .text("0x40"), .text("0xfffff")])
        #expect(try column("pasid", of: "attachment_view").last == .text("0xfffff"))
        #expect(try column("encryption_bit", of: "unit_view") == [.integer(47)])
        #expect(try column("accessed_dirty", of: "unit_view") == [.integer(1)])
    }

    @Test("A parent that is not there is refused when the generation is sealed, which then stays open")
    func missingParent() throws {
        let folder = try Folder()
        let path = folder["1.domstore"]
        var writer = try GenerationWriter(creating: path, number: 1, origin: .engine)
        var snapshot = Self.snapshot()
        snapshot.domains[0].parent = DomainID(99)
        #expect(throws: StoreError.self) { _ = try writer.seal(snapshot, nonce: nil) }
        _ = try writer.seal(Self.snapshot(), nonce: nil)
        try writer.release()
        let reader = try GenerationReader(path: path)
        #expect(reader.defects() == [])
        #expect(try reader.snapshot() == Self.snapshot())
    }

    @Test(
        "What the tables refuse is refused by the writer too",
        arguments: [
            { @Sendable in $0.domains[0].parent = nil }, { $0.domains[1].parent = DomainID(5) },
            { $0.attachments[2].cacheTag = nil }, { $0.units[0].encryptionBit = 52 },
            { $0.domainUnits[0].tables?.addressBits = 65 },
        ] as [@Sendable (inout Snapshot) -> Void])
    func refused(edit: @Sendable (inout Snapshot) -> Void) throws {
        let folder = try Folder()
        var snapshot = Self.snapshot()
        edit(&snapshot)
        #expect(throws: StoreError.self) { _ = try FreshGeneration.write(snapshot, to: folder["a"]) }
        #expect(folder.names == [])
    }

    @Test("Lookup pages of every structure keep their kind")
    func lookupLevels() throws {
        let folder = try Folder()
        let reader = try Self.written(SnapshotMaker(seed: 1).make(size: 1), folder)
        let (columns, rows) = try reader.rows(ofView: "lookup_page_view")
        let kind = try #require(columns.firstIndex(of: "kind"))
        let kinds = Set(rows.map { $0[kind] })
        #expect(kinds == Set(["20", "21", "22", "23", "24", "30", "31", "32", "33"].map { .text("0x\($0)") }))
    }
}
