/// An error of a reader of an ACPI table.
protocol ACPITableError: TruncationError {
    /// The signature is another table's.
    static var otherTable: Self { get }
    /// A length field that cannot be right.
    static func length(offset: Int, found: UInt64, expected: String) -> Self
    /// The bytes do not add up to 0.
    static var checksum: Self { get }
}

/// The bytes of one ACPI table whose header is right: 36 bytes of it are every table's (ACPI 5.2.6), the fields of this
/// one go on up to 48, and a list of structures follows.
struct ACPITable<Failure: ACPITableError> {
    /// Where the list of structures begins (DMAR: VT-d 8.1; IVRS: AMD 48882 5.2.1).
    static var headerBytes: Int { 48 }

    private let bytes: ArraySlice<UInt8>

    /// Checks signature, length and checksum; bytes behind the table's own length are of no account.
    init(_ bytes: [UInt8], signature: String) throws(Failure) {
        guard bytes.count >= Self.headerBytes else {
            throw .truncated(offset: bytes.count, expected: Self.headerBytes)
        }
        guard bytes.starts(with: signature.utf8) else { throw .otherTable }
        var reader = ByteReader<Failure>(bytes[...])
        reader.skip(to: 4)
        let length = Int(try reader.uint32())
        guard length >= Self.headerBytes, length <= bytes.count else {
            throw .length(offset: 4, found: UInt64(length), expected: "\(Self.headerBytes) to \(bytes.count)")
        }
        self.bytes = bytes[..<length]
        guard self.bytes.reduce(0, &+) == 0 else { throw .checksum }
    }

    /// Reads the table's own fields, from byte 36 on.
    var fields: ByteReader<Failure> {
        var reader = ByteReader<Failure>(bytes)
        reader.skip(to: 36)
        return reader
    }

    /// Calls `body` with each structure of the list, from its first byte on. Each begins with its type, in `typeBytes` bytes,
    /// and its length, in bytes 2 and 3.
    func forEachStructure(
        typeBytes: Int, _ body: (_ type: UInt16, inout ByteReader<Failure>) throws(Failure) -> Void
    ) throws(Failure) {
        var reader = ByteReader<Failure>(bytes)
        reader.skip(to: Self.headerBytes)
        while !reader.isAtEnd {
            let start = reader.offset
            let type = try reader.uint16() & (typeBytes == 1 ? 0xff : 0xffff)
            let size = Int(try reader.uint16())
            guard size >= 4, size <= bytes.endIndex - start else {
                throw .length(offset: start + 2, found: UInt64(size), expected: "4 to \(bytes.endIndex - start)")
            }
            var structure = ByteReader<Failure>(bytes[start..<(start + size)])
            try body(type, &structure)
            reader.skip(to: start + size)
        }
    }
}
