import IOMMUModel

/// Why bytes are not a DMAR table. Offsets count from the table's first byte.
public enum DMARError: Error, ACPITableError, Sendable, Hashable {
    /// The signature is another table's.
    case notDMAR
    /// The bytes end at `offset`, before the header of 48 bytes, or a field of `expected` bytes, does.
    case truncated(offset: Int, expected: Int)
    /// A length field that cannot be right.
    case length(offset: Int, found: UInt64, expected: String)
    /// Another field whose value cannot be right.
    case value(offset: Int, found: UInt64, expected: String)
    /// The bytes do not add up to 0.
    case checksum
}

extension DMARError {
    static var otherTable: Self { .notDMAR }
}

extension DMARError: CustomStringConvertible {
    /// One line: offset, found, expected.
    public var description: String {
        switch self {
        case .notDMAR: "not a DMAR table: the first four bytes are not \"DMAR\""
        case .truncated(let offset, let expected): "DMAR table ends at byte \(offset), expected \(expected) bytes"
        case .length(let offset, let found, let expected):
            "DMAR table byte \(offset): length \(found), expected \(expected)"
        case .value(let offset, let found, let expected):
            "DMAR table byte \(offset): found \(hex(found, digits: 1)), expected \(expected)"
        case .checksum: "DMAR table: the checksum is wrong"
        }
    }
}
