import ArgumentParser
import IOMMUModel
import Snapshot
import Store

/// `domstore tables STORE`: the page-table pages, one line each.
struct TablesVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tables", abstract: "List the page-table pages with their level and what they hold.",
        discussion: """
            'entries' counts the words that are not zero; 'runs' the arithmetic progressions that the page is stored \
            as; 'bytes' what they take.
            """)

    @OptionGroup var input: StoreArguments

    @Option(help: ArgumentHelp("Only the pages of this domain.", valueName: "id"))
    var domain: UInt32?

    @OptionGroup var output: OutputOptions

    static let columns = ["domain", "address", "level", "entries", "runs", "bytes"]

    func run() throws {
        let (snapshot, damage) = try input.readable()
        var stream = output.stream(Self.columns)
        for owner in snapshot.tablePages where domain == nil || owner.domain.rawValue == domain {
            for index in owner.pages.entries.indices where !stream.isClosed {
                try stream.row(Self.row(owner.domain, owner.pages, index))
            }
        }
        try stream.finish()
        try damage.report("its pages are left out")
    }

    static func row(_ domain: DomainID, _ pages: PageSet, _ index: Int) -> [Cell] {
        let entry = pages.entries[index]
        var used = 0
        var runs = 0
        pages.withEncoded(index) { encoded in
            PageRuns.forEachRun(encoded) { _, first, stride, count in
                runs += 1
                used += usedWords(first, stride, count)
            }
        }
        return [
            Cell(domain.rawValue), Cell(entry.address), Cell(entry.level), Cell(used), Cell(runs),
            Cell(entry.end - entry.start),
        ]
    }

    /// The words of a run that are not zero.
    static func usedWords(_ first: UInt64, _ stride: UInt64, _ count: Int) -> Int {
        if stride == 0 { return first == 0 ? 0 : count }
        return (0..<UInt64(count)).count { first &+ $0 &* stride != 0 }
    }
}
