import Foundation
import Testing

/// Every case of an error type is expected by a test: one file names both, the case behind a dot.
@Suite struct ErrorCaseTests {
    /// Cases that no test names, and why.
    private static let unnamed: [String: String] = [
        "ImportError.io": "an open regular file whose read fails: no disk here does that on demand",
        "ImportError.notBuilt": "ImportVerbTests, by its text",
    ]

    private static func sources(_ folder: String) -> [String] {
        Checkout.files(below: folder, skipping: [".build", "Benchmarks", "Fuzzing", "Fixtures"])
            // Not this one, which names cases that no test does.
            .filter { $0.hasSuffix(".swift") && !$0.hasSuffix("/ErrorCaseTests.swift") }
            .map { String(decoding: Checkout.bytes(of: $0), as: UTF8.self) }
    }

    /// What stands in a text behind a dot, and its words that end in `Error`.
    private static func names(_ text: String) -> (members: Set<Substring>, types: Set<Substring>) {
        let words = text.split { !$0.isLetter && !$0.isNumber }
        let members = text.split(separator: ".").dropFirst().map { part in
            part.prefix { $0.isLetter || $0.isNumber }
        }
        return (Set(members), Set(words.filter { $0.hasSuffix("Error") }))
    }

    /// The cases of each enumeration whose name ends in `Error`, as `Type.name`.
    private static func cases(_ texts: [String]) -> Set<String> {
        var result: Set<String> = []
        for text in texts {
            var type: Substring?
            for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
                if let found = line.firstMatch(of: #/^(?:public |package )?enum (\w+Error): /#) {
                    type = found.1
                }
                if line == "}" || line.hasPrefix("extension ") { type = nil }
                if let type, let found = line.firstMatch(of: #/^    case (\w+)/#) {
                    result.insert("\(type).\(found.1)")
                }
            }
        }
        return result
    }

    @Test func `every case of every error type is expected somewhere`() {
        let cases = Self.cases(Self.sources("Sources"))
        #expect(cases.count > 80)
        let tests = Self.sources("Tests").map(Self.names)
        let missing = cases.filter { one in
            let parts = one.split(separator: ".")
            return !tests.contains { $0.types.contains(parts[0]) && $0.members.contains(parts[1]) }
        }
        #expect(missing.sorted() == Self.unnamed.keys.sorted())
    }
}
