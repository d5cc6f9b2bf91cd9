/// The checksum of one row of a store: ``XXH64`` over a canonical encoding of the table's number and every value.
///
/// The encoding (Schema/FORMAT.md, "Row checksum") is big-endian: the table's number in 4 bytes, then each value in column
/// order as one tag byte and its content.
///
/// | tag | value | content |
/// |---|---|---|
/// | 0 | NULL | nothing |
/// | 1 | INTEGER | 8 bytes, two's complement |
/// | 3 | TEXT | length in bytes (8 bytes), XXH64 of the UTF-8 bytes (8 bytes) |
/// | 4 | BLOB | length in bytes (8 bytes), XXH64 of the bytes (8 bytes) |
///
/// A row moved to another table or key therefore fails its checksum. Large values are hashed where they lie; nothing is
/// copied but 17 bytes a value.
public struct RowDigest: ~Copyable {
    /// Values that one row may have.
    public static let maximumValues = 64

    private let buffer: UnsafeMutableRawPointer
    private var count = 0

    /// An encoder to be used for many rows: allocates its buffer once. Call ``begin(table:)`` before the first value.
    public init() {
        buffer = .allocate(byteCount: 4 + Self.maximumValues * 17, alignment: 8)
    }

    deinit { buffer.deallocate() }

    /// Starts a row of table `number`, forgetting the one before.
    public mutating func begin(table number: UInt32) {
        buffer.storeBytes(of: number.bigEndian, as: UInt32.self)
        count = 4
    }

    /// Adds a value of tag 0. More than ``maximumValues`` in a row, of whatever tag, is a bug of the caller.
    public mutating func appendNull() {
        reserve()
        buffer.storeBytes(of: 0, toByteOffset: count, as: UInt8.self)
        count &+= 1
    }

    /// Adds a value of tag 1.
    public mutating func append(integer: Int64) {
        reserve()
        buffer.storeBytes(of: 1, toByteOffset: count, as: UInt8.self)
        buffer.storeBytes(of: integer.bigEndian, toByteOffset: count &+ 1, as: Int64.self)
        count &+= 9
    }

    /// Adds a value of tag 3 from its UTF-8 bytes, which are read now and not kept. O(bytes).
    public mutating func append(text: UnsafeRawBufferPointer) { append(tag: 3, text) }

    /// Adds a value of tag 4; the bytes are read now and not kept. O(bytes).
    public mutating func append(blob: UnsafeRawBufferPointer) { append(tag: 4, blob) }

    /// The checksum of the row so far.
    public borrowing func finish() -> UInt64 { XXH64.hash(encoding) }

    /// The canonical encoding so far; valid until the next mutation.
    public var encoding: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: buffer, count: count) }

    private mutating func append(tag: UInt8, _ bytes: UnsafeRawBufferPointer) {
        reserve()
        buffer.storeBytes(of: tag, toByteOffset: count, as: UInt8.self)
        buffer.storeBytes(of: UInt64(bytes.count).bigEndian, toByteOffset: count &+ 1, as: UInt64.self)
        buffer.storeBytes(of: XXH64.hash(bytes).bigEndian, toByteOffset: count &+ 9, as: UInt64.self)
        count &+= 17
    }

    private func reserve() {
        precondition(count + 17 <= 4 + Self.maximumValues * 17, "a row has at most 64 values")
    }
}
