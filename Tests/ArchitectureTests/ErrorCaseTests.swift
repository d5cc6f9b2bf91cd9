import Foundation
import Testing

/// Every case of an error type is expected by a test.
@Suite struct ErrorCaseTests {
    /// Cases that no test names, and why.
    private static let unnamed: [String: String] = [
        "ImportError.io": "an open regular file whose read fails: no disk here does that on demand",
        "ImportError.notBuilt": "ImportVerbTests, by its text",
    ]

    private static func sources(_ folder: String) -> [String] {
        Checkout.files(below: folder, skipping: [".build", "Benchmarks", "Fuzzing", "Fixtures"])
            .filter { $0.hasSuffix(".swift") }
            .map { String(decoding: Checkout.bytes(of: $0), as: UTF8.self) }
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
        // Whatever stands behind a dot.
        var mentioned: Set<Substring> = []
        for text in Self.sources("Tests") {
            for part in text.split(separator: ".").dropFirst() {
                mentioned.insert(part.prefix { $0.isLetter || $0.isNumber })
            }
        }
        let missing = cases.filter { !mentioned.contains($0.split(separator: ".")[1]) }
        #expect(missing.subtracting(Self.unnamed.keys).sorted() == [])
        #expect(Set(Self.unnamed.keys).subtracting(cases) == [])
    }
}
