import Foundation
import Testing

/// The README's output is what the commands in it print, and its table has every verb.
@Suite struct ReadmeOutputTests {
    private static let readme: String = {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        return (try? String(contentsOf: root.appending(path: "README.md"), encoding: .utf8)) ?? ""
    }()

    /// The fenced blocks without a language.
    private static var blocks: [[String]] {
        readme.components(separatedBy: "```").enumerated().filter { $0.offset % 2 == 1 && $0.element.hasPrefix("\n") }
            .map { $0.element.split(separator: "\n").map(String.init) }
    }

    /// Without what differs from run to run: times and root digests.
    private static func masked(_ lines: [String]) -> [String] {
        lines.map { $0.replacing(/\[\d+\.\d+ ms\]/, with: "[time]").replacing(/as 1:[0-9a-f]{16}/, with: "as 1:root") }
    }

    @Test func `the main job prints what the README shows, and more refused devices`() throws {
        let folder = try ScratchFolder()
        let image = Fixtures.images + "vtd48"
        let run = try Binary.run(
            ["handover", "--image", image + ".elf", "--meta", image + ".json", "--store", folder["out"]])
        #expect(run.status == 0, "\(run.errors)")
        let printed = Self.masked(run.lines.map { $0.replacing(folder["out"], with: "out") })
        let shown = Self.masked(try #require(Self.blocks.first))
        #expect(shown.filter { !$0.hasPrefix("refused ") } == printed.filter { !$0.hasPrefix("refused ") })
        let refused = shown.filter { $0.hasPrefix("refused ") }
        #expect(refused.count == 3 && Set(refused).isSubset(of: printed))

        let lines = try #require(Self.blocks.dropFirst().first)
        let command = try #require(lines.first).split(separator: " ").map(String.init)
        #expect(command.prefix(2) == ["$", "domstore"])
        let arguments = command.dropFirst(2).map { $0 == "out" ? folder["out"] : $0 }
        #expect(try Binary.run(Array(arguments)).lines == Array(lines.dropFirst()))
    }

    @Test func `the steps of a scenario are told as the README shows them`() throws {
        let folder = try ScratchFolder()
        let lines = try #require(Self.blocks.dropFirst(2).first)
        let command = try #require(lines.first).split(separator: " ").map(String.init)
        #expect(command.prefix(3) == ["$", "domstore", "handover"])
        let file = try #require(command[3].split(separator: "/").last).description
        let printed = try Binary.run(["handover", Fixtures.scenarios + file, "--store", folder["out"]]).lines
        let shown = lines.dropFirst().filter { $0 != "…" }
        #expect(shown.count == 2 && shown.allSatisfy { printed.contains($0) }, "\(shown)")
    }

    @Test func `the table of verbs has every verb`() throws {
        let help = try Binary.run(["--help"]).output
        let list = try #require(help.components(separatedBy: "SUBCOMMANDS:\n").last)
        let verbs = list.split(separator: "\n").filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
            .compactMap { $0.split(separator: " ").first.map(String.init) }.filter { $0 != "See" }
        #expect(verbs.count >= 21)
        let table = Self.readme.split(separator: "\n").filter { $0.hasPrefix("| `") }.joined()
        for verb in verbs { #expect(table.contains("`\(verb)`"), "\(verb)") }
    }
}
