import Engine
import Foundation
import Hardware
import IOMMUModel
import PageTables
import Testing
import Validate

/// What the README says is what is there.
@Suite struct ReadmeTests {
    private static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    private static func text(of path: String) throws -> String {
        try String(contentsOf: root.appending(path: path), encoding: .utf8)
    }

    /// The text of the README's fenced blocks of `language`.
    private static func blocks(_ language: String) throws -> [String] {
        try text(of: "README.md").components(separatedBy: "```" + language + "\n").dropFirst().compactMap {
            $0.components(separatedBy: "\n```").first
        }
    }

    @Test func `the library example is the one that is compiled here`() throws {
        let source = try Self.text(of: "Tests/ReadmeTests/LibraryExample.swift")
        #expect(try Self.blocks("swift") == [source.trimmingCharacters(in: .newlines)])
    }

    @Test func `a rule that cites the format document names a heading of it`() throws {
        let headings = try Self.text(of: "Schema/FORMAT.md").split(separator: "\n").filter { $0.hasPrefix("#") }
            .map { $0.drop { $0 == "#" || $0 == " " } }
        let cited = Rule.all.flatMap { $0.source.components(separatedBy: "; ") }
            .compactMap { $0.hasPrefix("Schema/FORMAT.md, ") ? $0.trimmingPrefix("Schema/FORMAT.md, ") : nil }
        #expect(cited.count > 8)
        for heading in cited { #expect(headings.contains(heading), "\(heading)") }
    }

    @Test func `the library example does the same DMA on the far side`() throws {
        var memory = PhysicalMemory()
        try memory.add(at: PhysicalAddress(0x10_0000), byteCount: 1 << 20, region: .anonymous(bytes: 1 << 20))
        let ram = try #require(PhysicalRange(first: PhysicalAddress(0x10_0000), bytes: 2 << 30))
        let arena = try #require(PhysicalRange(first: PhysicalAddress(0x10_1000), bytes: 0xff000))
        let device = try #require(RequesterID("00:03.0"))
        let machine = try Machine(
            memory: memory, ramRanges: [ram], arenaRanges: [arena], handoverPage: PhysicalAddress(0x10_0000),
            units: [
                UnitDescription(
                    id: UnitID(1), registerBase: PhysicalAddress(0xfed9_0000),
                    registers: [
                        .init("rtaddr", 0), .init("gsts", 0),
                        .init("cap", VTDCapability(widths: [.bits48], maximumGuestAddressWidth: 48).rawValue),
                        .init("ecap", VTDExtendedCapability(snoopControl: true, passThrough: true).rawValue),
                    ])
            ],
            devices: [MachineDevice(requester: device, unit: UnitID(1), group: GroupID(3), driver: "vfio-pci")],
            reservedRegions: [])
        let folder = FileManager.default.temporaryDirectory.appending(path: "domstore-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(at: folder) }
        let outcome = try handOver(device, on: machine, to: folder.appending(path: "1.domstore").path())
        #expect(outcome == .address(PhysicalAddress(0x4000_0042)))
    }
}
