/// Takes numbers from the front of an input; at its end all of them are 0.
struct InputReader {
    private var rest: Slice<UnsafeRawBufferPointer>

    init(_ input: UnsafeRawBufferPointer) { rest = input[...] }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func byte() -> UInt8 { rest.popFirst() ?? 0 }

    mutating func short() -> Int { Int(byte()) | Int(byte()) << 8 }

    /// The little-endian number of so many bytes.
    mutating func number(bytes: Int) -> UInt64 {
        (0..<bytes).reduce(0) { value, index in value | UInt64(byte()) << UInt64(8 * index) }
    }

    /// All that is left.
    mutating func remaining() -> [UInt8] {
        defer { rest = rest[rest.endIndex...] }
        return Array(rest)
    }
}
