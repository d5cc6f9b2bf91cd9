import ArgumentParser
import Glibc
import Measurement

@main
struct DomstoreBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "domstore-bench",
        abstract: "Measures the library beside the same work done otherwise, both sides in turn.",
        discussion: """
            Both sides run in one process, in turn, round by round; the ratio is the median of the rounds' ratios. \
            Before that, both sides must leave the same behind, bit by bit, and refuse the same requests.

            Exit status: 0 every goal was met, 1 one was missed (unless --report-only), 64 a wrong argument.
            """)

    @Option(help: ArgumentHelp("Only benchmarks whose name contains the text.", valueName: "text"))
    var filter = ""

    @Option(help: "Rounds that count, at least 9.")
    var rounds = 21

    @Flag(help: "Print one JSON object instead of a table.")
    var json = false

    @Flag(help: "List the benchmarks and stop.")
    var list = false

    @Flag(help: "Count instructions under valgrind instead of time, where both sides do the same work.")
    var instructions = false

    @Flag(help: "Exit with 0 also when a goal was missed.")
    var reportOnly = false

    @Option(help: "Run one side of this benchmark, once, and print nothing but its sum.")
    var benchmark: Catalogue?

    @Option(help: "The side to run: its label, for example swift or c.")
    var side: String?

    @Option(help: "Operations of that run; the benchmark's own number unless told.")
    var iterations: Int?

    func validate() throws {
        guard (benchmark == nil) == (side == nil), iterations == nil || side != nil else {
            throw ValidationError("--benchmark and --side go together, --iterations only with them")
        }
        guard rounds >= 9 else { throw ValidationError("--rounds is at least 9") }
        guard iterations.map({ $0 > 0 }) ?? true else { throw ValidationError("--iterations is at least 1") }
    }

    func run() throws {
        #if DEBUG
            throw ValidationError("a debug build measures nothing: build with -c release")
        #else
            if list { return Catalogue.all.forEach { print($0.name) } }
            if let benchmark, let side { return try runOnce(benchmark.make(), side: side) }
            let chosen = Catalogue.all.filter { filter.isEmpty || $0.name.contains(filter) }
            guard !chosen.isEmpty else { throw ValidationError("no benchmark has \(filter) in its name") }
            let report = instructions ? try count(chosen) : try measure(chosen)
            print(json ? try report.json() : report.text)
            guard report.isMet || reportOnly else { throw ExitCode(1) }
        #endif
    }

    private func measure(_ entries: [Catalogue]) throws -> Report {
        var results: [Result] = []
        var facts: [String] = []
        for entry in entries {
            let benchmark = try entry.make()
            results.append(Result(try Runner(rounds: rounds).run(benchmark)))
            results += try benchmark.counts().map { Result(benchmark, $0) }
            facts += try benchmark.facts().map { "\(benchmark.name): \($0)" }
        }
        return Report(results, facts: facts)
    }

    private func count(_ entries: [Catalogue]) throws -> Report {
        let counter = try InstructionCounter()
        var results: [Result] = []
        for entry in entries {
            let benchmark = try entry.make()
            guard benchmark.countsInstructions else { continue }
            results.append(Result(benchmark, instructions: try counter.count(entry, benchmark)))
        }
        return Report(results, facts: [])
    }

    private func runOnce(_ benchmark: Benchmark, side label: String) throws {
        guard let side = [benchmark.subject, benchmark.reference].first(where: { $0.label == label }) else {
            throw ValidationError(
                "\(benchmark.name) has the sides \(benchmark.subject.label) and \(benchmark.reference.label)")
        }
        try side.prepare()
        print(try measuredSection(side, operations: min(iterations ?? side.operations, side.operations)))
    }
}
