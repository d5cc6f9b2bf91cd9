import IOMMUModel

/// Why bytes are not an IVRS table. Offsets count from the table's first byte.
public enum IVRSError: Error, ACPITableError, Sendable, Hashable {
    /// The signature is another table's.
    case notIVRS
    /// The bytes end at `offset`, before the header of 48 bytes, or a field of `expected` bytes, does.
    case truncated(offset: Int, expected: Int)
    /// A length field that cannot be right.
    case length(offset: Int, found: UInt64, expected: String)
    /// Another field whose value cannot be right.
    case value(offset: Int, found: UInt64, expected: String)
    /// The bytes do not add up to 0.
    case checksum
}

extension IVRSError {
    static var otherTable: Self { .notIVRS }
}

extension IVRSError: CustomStringConvertible {
    /// One line: offset, found, expected.
    public var description: String {
        switch self {
        case .notIVRS: "not an IVRS table: the first four bytes are not \"IVRS\""
        case .truncated(let offset, let expected): "IVRS table ends at byte \(offset), expected \(expected) bytes"
        case .length(let offset, let found, let expected):
            "IVRS table byte \(offset): length \(found), expected \(expected)"
        case .value(let offset, let found, let expected):
            "IVRS table byte \(offset): found \(hex(found, digits: 1)), expected \(expected)"
        case .checksum: "IVRS table: the checksum is wrong"
        }
    }
}
