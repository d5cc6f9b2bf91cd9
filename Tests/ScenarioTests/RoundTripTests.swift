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

    /// Builds the machine in the memory file at `path`, and answers what the engine says of it.
    private func build(_ flavours: [FlavouredMachine.Flavour], at path: String) throws -> Snapshot {
        let machine = try FlavouredMachine.make(flavours, file: path)
        let frozen = try FlavouredMachine.frozen(flavours, on: machine)
        // The registers are those that the engine set.
        try Data(try MachineDescription(of: machine, name: "round", image: "memory.elf").json()).write(
            to: URL(fileURLWithPath: path + ".json"))
        return frozen.snapshot()
    }

    @Test("The importer finds exactly the state that the engine had", arguments: FlavouredMachine.all)
    func roundTrip(flavours: [FlavouredMachine.Flavour]) throws {
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
