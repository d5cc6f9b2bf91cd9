import Crypto

/// SHA-256 (FIPS 180-4) of a whole file.
public struct FileDigest: Sendable, Hashable, CustomStringConvertible {
    /// 32 bytes.
    public let bytes: [UInt8]

    /// The digest of `content`.
    public init(of content: UnsafeRawBufferPointer) {
        var hash = SHA256()
        hash.update(bufferPointer: content)
        bytes = Array(hash.finalize())
    }

    /// 64 lower-case hex digits.
    public var description: String { Hex.text(bytes) }
}
