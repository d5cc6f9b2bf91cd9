import ArgumentParser
import Hardware
import IOMMUModel
import Validate

/// `domstore translate STORE DEVICE[#PASID] IOVA`: one request, level by level.
struct TranslateVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "translate", abstract: "Follow one request of a device through the recorded tables.",
        discussion: """
            One line for each entry that the hardware reads: its address, its value (lookup entries: the lowest word \
            first; in a table without the zero words at the end of long ones) and what it means; the last line is the \
            result. Exit code 1 when the request reaches no \
            address: the hardware faults, or a page that it needs is not recorded.
            """)

    @OptionGroup var input: StoreArguments

    @Argument(
        help: ArgumentHelp("SSSS:BB:DD.F or BB:DD.F, with #PASID for a request that has one.", valueName: "device"))
    var request: DeviceArgument

    @Argument(help: "The I/O virtual address, 0x… or decimal.")
    var iova: IOVA

    @Flag(help: "A write; otherwise a read.")
    var write = false

    @OptionGroup var output: OutputOptions

    static let columns = ["step", "address", "value", "meaning"]

    func run() throws {
        let (snapshot, damage) = try input.readable()
        let machine = try RecordedMachine(snapshot)
        let access: Access = write ? .write : .read
        guard
            let trace = machine.trace(device: request.device, pasid: request.pasid, iova: iova, access: access)
        else {
            throw Failure(
                .badInput, "\(input.store): found no unit on segment \(request.device.segment); expected one there")
        }
        switch output.form {
        case .json: try printObject(trace)
        case .jsonl, .csv: try output.list(Self.columns, Self.rows(trace))
        case .table: try printTable(trace)
        }
        try damage.report("what it held is unknown here")
        if !trace.ending.isSuccess { throw Failure.findings }
    }

    static func rows(_ trace: TranslationTrace) -> [[Cell]] {
        let end: [Cell] = [.text("result"), Cell(trace.ending.place), .null, .text(trace.ending.description)]
        return trace.steps.map(row) + [end]
    }

    private static func row(_ step: TranslationTrace.Step) -> [Cell] { row(step, step.words[...]) }

    private static func row(_ step: TranslationTrace.Step, _ words: ArraySlice<UInt64>) -> [Cell] {
        let value = words.map { hex($0) }.joined(separator: " ")
        return [.text(step.kind.description), Cell(step.address), .text(value), .text(step.meaning)]
    }

    /// The steps as a table, then the result on a line of its own, which is never cut.
    private func printTable(_ trace: TranslationTrace) throws {
        let sink = OutputSink(descriptor: 1)
        var stream = output.stream(Self.columns, sink: sink)
        for step in trace.steps {
            let used = step.words.lastIndex { $0 != 0 } ?? 0
            try stream.row(Self.row(step, step.words.prefix(max(2, used + 1))))
        }
        try stream.finish()
        let isColored = Terminal.usesColor(output.colors.color, isTerminal: sink.isTerminal)
        let style: Style = trace.ending.isSuccess ? .good : .error
        let source = "\(trace.device)\(trace.pasid.map { "#\($0)" } ?? "") \(trace.access) \(trace.iova)"
        try sink.line("\(source): \(style.applied(to: trace.ending.description, when: isColored))")
        try sink.flush()
    }

    private func printObject(_ trace: TranslationTrace) throws {
        let steps = trace.steps.map { "    " + JSONText.object(zip(Self.columns, Self.row($0))) }
        let fields: [(String, String)] = [
            ("device", JSONText.string(trace.device.description)), ("pasid", JSONText.value(Cell(pasid: trace.pasid))),
            ("iova", JSONText.string(trace.iova.description)),
            ("access", JSONText.string(trace.access == .write ? "write" : "read")),
            ("steps", steps.isEmpty ? "[]" : "[\n" + steps.joined(separator: ",\n") + "\n  ]"),
            ("outcome", JSONText.string(trace.ending.outcome)),
            ("address", JSONText.value(Cell(trace.ending.place))),
            ("protection", JSONText.value(Cell(trace.ending.protection))),
            ("page_size", JSONText.value(Cell(trace.ending.pageBytes))),
            ("fault", JSONText.value(Cell(trace.ending.reason?.code))),
            ("message", JSONText.string(trace.ending.description)),
        ]
        let sink = OutputSink(descriptor: 1)
        try sink.write(
            "{\n" + fields.map { "  \(JSONText.string($0.0)): \($0.1)" }.joined(separator: ",\n") + "\n}\n")
        try sink.flush()
    }
}

extension TranslationTrace.Ending {
    /// True when the request ends where it was meant to: at an address or as an interrupt.
    var isSuccess: Bool {
        switch self {
        case .address, .interrupt: true
        case .fault, .aborted, .unknown, .unreadable: false
        }
    }

    /// One word for JSON.
    var outcome: String {
        switch self {
        case .address: "address"
        case .interrupt: "interrupt"
        case .fault: "fault"
        case .aborted: "aborted"
        case .unknown: "unknown"
        case .unreadable: "unreadable"
        }
    }

    /// The address reached, the entry at fault, or the page that is not recorded.
    var place: PhysicalAddress? {
        switch self {
        case .address(let pa, _, _): pa
        case .fault(_, let entry): entry
        case .unknown(let page): page
        case .interrupt, .aborted, .unreadable: nil
        }
    }

    var protection: String? {
        if case .address(_, let protection, _) = self { protection.description } else { nil }
    }

    /// The size of the page that maps the address; `nil` where nothing is translated.
    var pageBytes: UInt64? {
        if case .address(_, _, let size?) = self { 1 << UInt64(size) } else { nil }
    }

    var reason: FaultReason? {
        if case .fault(let reason, _) = self { reason } else { nil }
    }
}
