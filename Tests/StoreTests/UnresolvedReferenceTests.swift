import IOMMUModel
import Snapshot
import Testing

@testable import Store

/// Which foreign key of a whole state names no row.
struct UnresolvedReferenceTests {
    private static let good = SnapshotMaker(seed: 7).make(size: 40)

    /// What is broken in the last of its records, and what is told of it.
    struct Break: CustomTestStringConvertible, Sendable {
        var table: RecordTable
        var missing: String
        var key: @Sendable (Snapshot) -> String
        var edit: @Sendable (inout Snapshot) -> Void
        var testDescription: String { "\(table.name) without \(missing)" }
    }

    static let breaks = [
        Break(table: .device, missing: "unit 99", key: { row($0.devices.last!.requester) }) {
            $0.devices[$0.devices.count - 1].unit = UnitID(99)
        },
        Break(table: .device, missing: "iommu_group 99", key: { row($0.devices.last!.requester) }) {
            $0.devices[$0.devices.count - 1].group = GroupID(99)
        },
        Break(table: .reservedRegion, missing: "iommu_group 99", key: { region($0.reservedRegions.last!) }) {
            $0.reservedRegions[$0.reservedRegions.count - 1].group = GroupID(99)
        },
        Break(table: .domain, missing: "domain 99999", key: { "id=\($0.domains.last!.id)" }) {
            $0.domains[$0.domains.count - 1].parent = DomainID(99_999)
        },
        Break(
            table: .domainUnit, missing: "domain 99999",
            key: { "domain=\($0.domainUnits.last!.domain) unit=\($0.domainUnits.last!.unit)" }
        ) {
            $0.domainUnits[$0.domainUnits.count - 1].domain = DomainID(99_999)
        },
        Break(
            table: .domainUnit, missing: "unit 99",
            key: { "domain=\($0.domainUnits.last!.domain) unit=\($0.domainUnits.last!.unit)" }
        ) { $0.domainUnits[$0.domainUnits.count - 1].unit = UnitID(99) },
        Break(table: .hwpt, missing: "ioas 99999", key: { "id=\($0.hwpts.last!.id)" }) {
            $0.hwpts[$0.hwpts.count - 1].ioas = IOASID(99_999)
        },
        Break(table: .hwpt, missing: "domain 99999", key: { "id=\($0.hwpts.last!.id)" }) {
            $0.hwpts[$0.hwpts.count - 1].domain = DomainID(99_999)
        },
        Break(table: .attachment, missing: "device 00ff:ff:1f.7", key: { key($0.attachments.last!) }) {
            $0.attachments[$0.attachments.count - 1].requester = RequesterID(segment: 0xff, rid: 0xffff)
        },
        Break(table: .attachment, missing: "domain 99999", key: { key($0.attachments.last!) }) {
            $0.attachments[$0.attachments.count - 1].domain = DomainID(99_999)
        },
        Break(table: .lookupChunk, missing: "unit 99", key: { "unit=\($0.lookupPages.last!.unit)" }) {
            $0.lookupPages[$0.lookupPages.count - 1].unit = UnitID(99)
        },
        Break(table: .tableChunk, missing: "domain 99999", key: { "domain=\($0.tablePages.last!.domain)" }) {
            $0.tablePages[$0.tablePages.count - 1].domain = DomainID(99_999)
        },
        Break(table: .areaChunk, missing: "ioas 99999", key: { "ioas=\($0.areas.last!.ioas)" }) {
            $0.areas[$0.areas.count - 1].ioas = IOASID(99_999)
        },
    ]

    private static func row(_ id: RequesterID) -> String { "segment=\(id.segment) rid=\(id.rid)" }

    private static func region(_ region: ReservedRegionRecord) -> String {
        "iommu_group=\(region.group) range=\(region.range) kind=\(region.kind.rawValue)"
    }

    static func key(_ attachment: AttachmentRecord) -> String {
        "\(row(attachment.requester)) "
            + (attachment.pasid.map { "tagged=1 pasid=\($0.rawValue)" } ?? "tagged=0 pasid=0")
    }

    private static func found(_ snapshot: Snapshot) -> UnresolvedReference? {
        snapshot.unresolvedReference(areaOwners: snapshot.areas.map(\.ioas))
    }

    @Test("A state whose references resolve has none")
    func resolved() { #expect(Self.found(Self.good) == nil) }

    @Test("It is told with its record and what is missing", arguments: breaks)
    func each(_ broken: Break) throws {
        var snapshot = Self.good
        broken.edit(&snapshot)
        let wanted = UnresolvedReference(table: broken.table, key: broken.key(snapshot), missing: broken.missing)
        snapshot.normalize()
        #expect(Self.found(snapshot) == wanted)
    }
}
