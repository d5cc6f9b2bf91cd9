import Foundation

/// A scenario with one device that can be carried and one for each guard that refuses, small enough for a debug build.
struct SmallHandover {
    let folder: ScratchFolder
    var store: String { folder["store"] }
    var memory: String { folder["memory.elf"] }
    var scenario: String { folder["small.json"] }

    /// Writes the scenario; nothing has run yet. `edit` changes its text.
    init(_ edit: (String) -> String = { $0 }) throws {
        folder = try ScratchFolder()
        let text = try String(contentsOfFile: Fixtures.scenarios + "refusals.json", encoding: .utf8)
        let small = text.replacingOccurrences(of: "\"bytes\": \"0x40000000\"", with: "\"bytes\": \"0x200000\"")
        try folder.write(edit(small).utf8, to: "small.json")
    }

    func run(_ options: String...) throws -> Binary.Outcome {
        try Binary.run(["handover", scenario, "--store", store] + options)
    }
}
