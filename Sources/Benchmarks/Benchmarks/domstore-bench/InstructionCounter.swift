import Foundation
import Measurement

/// Counts instructions: one process a side, under valgrind's callgrind, switched on inside
/// ``measuredSection(_:operations:)`` only.
struct InstructionCounter: ~Copyable {
    struct Failure: Error, CustomStringConvertible {
        let description: String
    }

    /// This program without debug information, which older valgrinds cannot read.
    private let program: String

    init() throws {
        program = "\(NSTemporaryDirectory())/domstore-bench-\(ProcessInfo.processInfo.processIdentifier)"
        _ = try Self.run(["strip", "-g", "-o", program, "/proc/\(ProcessInfo.processInfo.processIdentifier)/exe"])
    }

    deinit { unlink(program) }

    /// Instructions per operation of both sides.
    func count(_ entry: Catalogue, _ benchmark: Benchmark) throws -> (subject: Double, reference: Double) {
        (try count(entry, benchmark.subject), try count(entry, benchmark.reference))
    }

    private func count(_ entry: Catalogue, _ side: Side) throws -> Double {
        // The same in every run, so a tenth of the operations is enough where there are many.
        let operations = side.operations > 1000 ? side.operations / 10 : side.operations
        let text = try Self.run([
            "valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--toggle-collect=*measuredSection*",
            program, "--benchmark", entry.name, "--side", side.label, "--iterations", "\(operations)",
        ])
        guard let line = text.split(separator: "\n").first(where: { $0.contains("Collected") }),
            let number = line.split(separator: " ").last.flatMap({ Double($0) }), number > 0
        else { throw Failure(description: "valgrind counted nothing: \(text)") }
        return number / Double(operations)
    }

    /// Runs a program to its end and answers what it wrote to its standard error.
    private static func run(_ arguments: [String]) throws -> String {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
        process.arguments = arguments
        let errors = Pipe()
        process.standardError = errors
        process.standardOutput = FileHandle.nullDevice
        try process.run()
        let text = String(decoding: errors.fileHandleForReading.readDataToEndOfFile(), as: UTF8.self)
        process.waitUntilExit()
        guard process.terminationStatus == 0 else {
            throw Failure(description: "\(arguments[0]) ended with status \(process.terminationStatus): \(text)")
        }
        return text
    }
}
