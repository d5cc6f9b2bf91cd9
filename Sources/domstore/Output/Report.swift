import ArgumentParser
import Conformance
import Engine
import Evidence
import Glibc
import IOMMUModel
import Import
import PageTables
import Scenario
import Store

/// Turns whatever ended a verb into words and an exit code.
enum Report {
    /// Says what is to be said and returns the code to exit with.
    static func of(_ error: any Error) -> Int32 {
        if let failure = failure(for: error) {
            if let message = failure.message { Talk.complain(message) }
            return failure.status.rawValue
        }
        // What is left is the argument parser's: help, version, completions, or a wrong command line.
        let code = Domstore.exitCode(for: error)
        let text = Domstore.fullMessage(for: error)
        guard code != .success else {
            let sink = OutputSink(descriptor: STDOUT_FILENO)
            do {
                try sink.line(text)
                try sink.flush()
            } catch {
                return of(error)
            }
            return ExitStatus.fine.rawValue
        }
        if !text.isEmpty {
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
            let first = lines[0].hasPrefix("Error: ") ? String(lines[0].dropFirst(7)) : String(lines[0])
            Talk.complain(first)
            for line in lines.dropFirst() { Talk.write(Escaping.escapedLine(String(line)) + "\n") }
        }
        return code == .failure ? ExitStatus.badInput.rawValue : code.rawValue
    }

    /// The failure that a module's error amounts to, or `nil` when it is the argument parser's.
    static func failure(for error: any Error) -> Failure? {
        switch error {
        case let failure as Failure: failure
        case let error as OutputError: Failure(.inputOutput, error.description)
        case let error as ConformanceError: refusal(error)
        case let error as ImportError:
            Failure(error.isInputOutput ? .inputOutput : .badInput, error.description)
        case let error as StoreError: Failure(error, about: "the store")
        case let error as SealCodeError: Failure(error)
        case let error as ScenarioError: Failure(error, about: "the scenario")
        // An engine's answer that no verb expected: the run did not come to its end.
        case let error as Refusal: Failure(.findings, "the engine answered \(error)")
        case let error as Errno: Failure(.findings, "the engine answered \(error.name)")
        case let error as MemoryError: Failure(.inputOutput, "memory: \(error)")
        default: nil
        }
    }

    private static func refusal(_ error: ConformanceError) -> Failure {
        switch error {
        case .cannotRead(let path, let number):
            Failure(.inputOutput, "\(path): \(systemMessage(number)); expected a file of vectors")
        case .symbolicLink, .notARegularFile, .tooLarge, .notVectors: Failure(.badInput, error.description)
        }
    }
}
