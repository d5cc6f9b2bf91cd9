import SQLite

/// One worked example of `Schema/FORMAT.md`: bytes and what they decode to.
struct Example: Sendable, CustomStringConvertible {
    struct Field: Sendable, Hashable {
        var name: String
        var values: [SQLValue]
    }

    var kind: ExampleKind
    /// The second word of the info string: the table of a row.
    var table: String?
    /// Where the block begins in the document, from 1.
    var line: Int
    var bytes: [UInt8]
    var fields: [Field]

    var description: String { "line \(line): \(kind.rawValue)\(table.map { " \($0)" } ?? "")" }

    /// The only value of the only field `name`.
    func value(_ name: String) throws(Mismatch) -> SQLValue {
        let found = fields.filter { $0.name == name }
        guard found.count == 1, found[0].values.count == 1 else {
            throw Mismatch("expected one field \(name) with one value")
        }
        return found[0].values[0]
    }

    func word(_ name: String) throws(Mismatch) -> UInt64 {
        guard case .integer(let value) = try value(name) else { throw Mismatch("\(name) is no integer") }
        return UInt64(bitPattern: value)
    }

    func number<T: FixedWidthInteger>(_ name: String, _ type: T.Type = T.self) throws(Mismatch) -> T {
        guard case .integer(let value) = try value(name), let number = T(exactly: value) else {
            throw Mismatch("\(name) is no \(T.self)")
        }
        return number
    }

    func text(_ name: String) throws(Mismatch) -> String {
        guard case .text(let value) = try value(name) else { throw Mismatch("\(name) is no text") }
        return value
    }

    /// The fields must have these names, in this order.
    func expectNames(_ names: [String]) throws(Mismatch) {
        try expect(fields.map(\.name), names, "names of the fields")
    }

    /// The bytes must be these.
    func expectBytes(_ expected: [UInt8]) throws(Mismatch) {
        guard bytes != expected else { return }
        throw Mismatch("the bytes are other ones; the fields encode to\n\(HexDump.text(expected))")
    }

    func expect<T: Equatable>(_ found: T, _ expected: T, _ what: String) throws(Mismatch) {
        guard found != expected else { return }
        throw Mismatch("\(what): found \(found), expected \(expected)")
    }
}

/// Why an example is not what it says.
struct Mismatch: Error, CustomStringConvertible {
    var description: String
    init(_ description: String) { self.description = description }
}
