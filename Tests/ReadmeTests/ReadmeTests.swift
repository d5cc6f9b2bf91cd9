import DomainStore
import Foundation
import Testing

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

    @Test(arguments: [UnitDescription.intelVTd(UnitID(1)), .amdVi(UnitID(1))])
    func `the library example reads after the update what was written during it`(unit: UnitDescription) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "domstore-\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: folder) }
        #expect(try updateLive(unit, store: folder.path()) == [1, 2])
    }
}
