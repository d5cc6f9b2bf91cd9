import ArgumentParser
import Diff
import IOMMUModel
import PageTables

/// `domstore diff A B`: in what two states of a machine differ.
struct DiffVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Tell in what two states of a machine differ: stores, generations, memory images.",
        discussion: """
            A and B are a generation file, a directory (its newest sealed generation), DIR@N (generation N of it), or \
            a memory image. An image is described by the .json file beside it, or by --meta: given once for both \
            images, given twice for A and B.

            One line for each difference: units and registers, memory, groups, devices, reserved regions, files, \
            sessions, address spaces and areas, domains, HWPTs, attachments; entries of root, context, PASID, device, \
            GCR3 and stream tables by the fields that differ; words and pages of page tables; and by maximal runs what the \
            hardware makes of IOVAs: mapping-gone, mapping-new, mapping-changed. Domains are found by the requests \
            that go through them, with their HWPTs and address spaces, since ids mean something inside one state only: \
            where userspace has built the trees anew, as after a live update, one line says so for each domain, \
            whether they translate alike, and where they differ in them, how many leaves of each size there are. Of the words of one domain's tables 1000 are told, then how many there are more.

            What concerns many requests is told once; a table names the first of them, the other forms all. Exit code \
            1 with any difference, or when records of a file are damaged.
            """)

    @Argument(
        help: ArgumentHelp("The first state.", valueName: "a"), completion: .file(extensions: ["domstore", "elf"]))
    var before: String

    @Argument(
        help: ArgumentHelp("The second state.", valueName: "b"), completion: .file(extensions: ["domstore", "elf"]))
    var after: String

    @Option(
        help: ArgumentHelp("What describes the images.", valueName: "file"), completion: .file(extensions: ["json"]))
    var meta: [String] = []

    @Option(
        name: .customLong("patch"),
        help: ArgumentHelp(
            "Apply this entry of the meta file's 'damaged' list to B, in memory only: to study how damage shows.",
            valueName: "name"))
    var patches: [String] = []

    @OptionGroup var output: OutputOptions

    static let columns = ["kind", "requests", "iova", "last", "address", "before", "after", "message"]

    func validate() throws {
        guard meta.count <= 2 else {
            throw ValidationError("--meta is given once for both, or once each: at most twice.")
        }
    }

    func run() throws {
        let sides = [
            ComparedState(argument: before, meta: meta.first),
            ComparedState(argument: after, meta: meta.last, patches: patches),
        ]
        let stores = sides.filter { !$0.isImage }
        if let store = stores.first, stores.count + meta.count > 2 {
            throw Failure(.badInput, "\(store.argument): found a store; --meta describes a memory image")
        }
        guard patches.isEmpty || sides[1].isImage else {
            throw Failure(.badInput, "\(after): found a store; --patch changes a memory image")
        }
        let (states, result) = try Progress.during("comparing \(before) with \(after)") {
            let states = try sides.map { try $0.read() }
            return (states, try StateComparison(states[0].snapshot, states[1].snapshot).compare())
        }
        let isTable = output.form == .table
        try output.list(Self.columns, result.differences.lazy.map { Self.row($0, isShort: isTable) })
        for state in states { try state.damage?.report("what it held is not compared") }
        if let first = result.unread.first {
            let whose = result.unread.count == 1 ? "\(first)" : "\(result.unread.count) requests, \(first) first,"
            Talk.complain("tables are too large to be read: the mappings of \(whose) are not all compared")
        }
        if !result.differences.isEmpty || !result.unread.isEmpty { throw Failure.findings }
    }

    private static func row(_ difference: Difference, isShort: Bool) -> [Cell] {
        let requests = difference.requests
        let names =
            isShort && requests.count > 2
            ? "\(requests[0]) and \(requests.count - 1) more" : requests.map(\.description).joined(separator: " ")
        return [
            .text(difference.kind), Cell(requests.isEmpty ? nil : names), Cell(difference.range?.first),
            Cell(difference.range?.last), Cell(difference.address), Cell(difference.before), Cell(difference.after),
            .text(difference.what),
        ]
    }
}
