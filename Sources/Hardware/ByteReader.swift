/// An error that says where bytes end too early.
protocol TruncationError: Error {
    static func truncated(offset: Int, expected: Int) -> Self
}

/// Reads little-endian numbers from a slice of bytes, never past its end: `Failure` is thrown instead.
struct ByteReader<Failure: TruncationError> {
    private let bytes: ArraySlice<UInt8>
    /// Index of the next byte in the array that the slice was taken from.
    private(set) var offset: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        offset = bytes.startIndex
    }

    /// One past the last byte.
    var end: Int { bytes.endIndex }
    var isAtEnd: Bool { offset >= bytes.endIndex }

    /// Goes to `position`, which may lie past the end: the next read then throws.
    mutating func skip(to position: Int) { offset = max(bytes.startIndex, position) }

    mutating func uint8() throws(Failure) -> UInt8 { UInt8(try number(byteCount: 1)) }
    mutating func uint16() throws(Failure) -> UInt16 { UInt16(try number(byteCount: 2)) }
    mutating func uint32() throws(Failure) -> UInt32 { UInt32(try number(byteCount: 4)) }
    mutating func uint64() throws(Failure) -> UInt64 { try number(byteCount: 8) }

    private mutating func number(byteCount: Int) throws(Failure) -> UInt64 {
        guard offset <= bytes.endIndex, byteCount <= bytes.endIndex - offset else {
            throw .truncated(offset: bytes.endIndex, expected: byteCount)
        }
        var value: UInt64 = 0
        for index in 0..<byteCount { value |= UInt64(bytes[offset + index]) << UInt64(8 * index) }
        offset += byteCount
        return value
    }
}
