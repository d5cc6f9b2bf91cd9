import ArgumentParser
import Conformance

/// `domstore conformance VECTORS.json…`: known answers about page tables and lookup structures.
struct ConformanceVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "conformance", abstract: "Run files of known-answer vectors against the formats of this program.",
        discussion: """
            Prints each vector whose answer differs, one line per file when there are several, and a last line \
            'N passed, M failed, K skipped'. What tests a format that this program does not have is skipped, never \
            passed. Exit code 1 when one failed.
            """)

    @Argument(help: ArgumentHelp("Files of vectors.", valueName: "vectors"), completion: .file(extensions: ["json"]))
    var files: [String]

    func run() throws {
        let sink = OutputSink(descriptor: 1)
        var total = (passed: 0, failed: 0, skipped: 0)
        for file in files {
            let report = try Conformance.run(file: file)
            let name = Escaping.escaped(file)
            for failure in report.failures { try sink.line("\(name): \(Escaping.escapedLine(failure.description))") }
            if files.count > 1 {
                try sink.line(
                    "\(name): \(report.passed) passed, \(report.failed) failed, \(report.skipped) skipped")
            }
            total.passed += report.passed
            total.failed += report.failed
            total.skipped += report.skipped
        }
        try sink.line("\(total.passed) passed, \(total.failed) failed, \(total.skipped) skipped")
        try sink.flush()
        if total.failed > 0 { throw Failure.findings }
    }
}
