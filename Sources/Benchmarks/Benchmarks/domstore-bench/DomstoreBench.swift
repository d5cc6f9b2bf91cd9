import ArgumentParser
import Glibc
import Measurement

@main
struct DomstoreBench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "domstore-bench",
        abstract: "Measures the library beside the same work done otherwise, both sides in turn.",
        discussion: "Exit status: 0 every goal was met, 1 one was missed, 64 a wrong argument.")

    @Option(help: ArgumentHelp("Only benchmarks whose name contains the text.", valueName: "text"))
    var filter = ""

    @Option(help: "Rounds that count, at least 9.")
    var rounds = 21

    @Flag(help: "Print one JSON object instead of a table.")
    var json = false

    @Flag(help: "List the benchmarks and stop.")
    var list = false

    @Flag(help: "Count instructions under valgrind instead of time.")
    var instructions = false

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
            if list { return Catalogue.allCases.forEach { print($0.rawValue) } }
            if let benchmark, let side { return try runOnce(benchmark.make(), side: side) }
            let chosen = Catalogue.allCases.filter { filter.isEmpty || $0.rawValue.contains(filter) }
            guard !chosen.isEmpty else { throw ValidationError("no benchmark has \(filter) in its name") }
            let results = instructions ? try count(chosen) : try chosen.map(measure)
            print(json ? try Report.json(results) : Report.text(results))
            guard results.allSatisfy(\.isMet) else { throw ExitCode(1) }
        #endif
    }

    private func measure(_ entry: Catalogue) throws -> Result {
        let benchmark = try entry.make()
        return Result(try Runner(rounds: rounds).run(benchmark), facts: try benchmark.facts())
    }

    private func count(_ entries: [Catalogue]) throws -> [Result] {
        let counter = try InstructionCounter()
        var results: [Result] = []
        for entry in entries {
            let benchmark = try entry.make()
            // What waits for a disk is not a matter of instructions.
            guard benchmark.clock == .processor else { continue }
            results.append(Result(benchmark, try counter.count(entry, benchmark)))
        }
        return results
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

extension Catalogue: ExpressibleByArgument {}
