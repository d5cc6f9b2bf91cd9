import SQLite
import Testing

@testable import Store

@Suite("The examples of FORMAT.md")
struct FormatExampleTests {
    static let document = FormatDocument.shared

    @Test("Every block of the document is an example that can be read")
    func blocks() {
        #expect(Self.document.problems == [])
        #expect(Self.document.examples.count > 40)
    }

    @Test("Every table of the schema has an example", arguments: RecordTable.allCases)
    func tables(_ table: RecordTable) {
        #expect(!Self.document.rows(table.name).isEmpty, "\(table.name)")
    }

    @Test("Every kind of record has an example, page runs in every form", arguments: ExampleKind.allCases)
    func kinds(_ kind: ExampleKind) {
        let examples = Self.document.examples(kind)
        #expect(!examples.isEmpty)
        guard kind == .pageRuns else { return }
        #expect(Set(examples.compactMap(\.bytes.first)) == [0, 1])
        #expect(examples.reduce(into: Set<Int64>()) { $0.formUnion($1.runKinds) } == [0, 1, 2, 3])
    }

    @Test("Every example decodes to its fields, and its fields encode to its bytes", arguments: document.examples)
    func verified(_ example: Example) {
        do { try example.verify() } catch { Issue.record("\(example): \(error)") }
    }

    @Test("One altered byte of an example is seen", arguments: document.examples)
    func bytes(_ example: Example) {
        for index in stride(from: 0, to: example.bytes.count, by: example.bytes.count > 1000 ? 89 : 1) {
            for mask in [UInt8(0x01), 0x80] {
                var altered = example
                altered.bytes[index] ^= mask
                #expect(throws: (any Error).self, "\(example): byte \(index)") { try altered.verify() }
            }
        }
        var longer = example
        longer.bytes.append(0)
        #expect(throws: (any Error).self) { try longer.verify() }
        var shorter = example
        shorter.bytes.removeLast()
        #expect(throws: (any Error).self) { try shorter.verify() }
    }

    @Test("One altered field of an example is seen", arguments: document.examples)
    func fields(_ example: Example) {
        for index in example.fields.indices {
            for place in example.fields[index].values.indices {
                var altered = example
                altered.fields[index].values[place] = Self.other(example.fields[index].values[place])
                #expect(throws: (any Error).self, "\(example): \(example.fields[index].name)") { try altered.verify() }
            }
            var renamed = example
            renamed.fields[index].name += "x"
            #expect(throws: (any Error).self) { try renamed.verify() }
            var without = example
            without.fields.remove(at: index)
            #expect(throws: (any Error).self) { try without.verify() }
        }
    }

    private static func other(_ value: SQLValue) -> SQLValue {
        switch value {
        case .null, .real: .integer(0)
        case .integer(let integer): .integer(integer ^ 1)
        case .text(let text): .text(text + "x")
        case .blob(let bytes): .blob(bytes.isEmpty ? [0] : [bytes[0] ^ 1] + bytes.dropFirst())
        }
    }
}
