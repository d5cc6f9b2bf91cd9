import Crypto
import Glibc

/// A key that only those have who may vouch for a seal: all bytes of a file.
public struct SealKey: Sendable {
    /// Bytes that a key file may have. Fewer could be guessed.
    public static let byteCounts = 16...4096

    let key: SymmetricKey

    /// Takes `bytes` as they are; `nil` unless there are ``byteCounts`` of them.
    public init?(_ bytes: [UInt8]) {
        guard Self.byteCounts.contains(bytes.count) else { return nil }
        key = SymmetricKey(data: bytes)
    }

    /// Reads a key file: a regular file, no symbolic link.
    ///
    /// - Throws: ``SealCodeError/unreadable(path:errno:)``, ``SealCodeError/notAKey(path:what:)``.
    public init(file path: String) throws(SealCodeError) {
        let bytes = try SmallFile.read(path, limit: Self.byteCounts.upperBound)
        guard let key = SealKey(bytes) else {
            throw .notAKey(
                path: path,
                what: "\(bytes.count) bytes; expected \(Self.byteCounts.lowerBound) to \(Self.byteCounts.upperBound)")
        }
        self = key
    }

    /// Tells keys apart without giving anything of them away: the first 8 bytes of the HMAC of a fixed text.
    public var identifier: String {
        Hex.text(HMAC<SHA256>.authenticationCode(for: Array("domstore key".utf8), using: key).prefix(8))
    }

    /// HMAC-SHA256 (RFC 2104) of `bytes`, 32 bytes.
    public func code(of bytes: [UInt8]) -> [UInt8] { Array(HMAC<SHA256>.authenticationCode(for: bytes, using: key)) }

    /// True when `code` is that of `bytes`; takes the same time whichever byte differs.
    public func isCode(_ code: [UInt8], of bytes: [UInt8]) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(code, authenticating: bytes, using: key)
    }
}
