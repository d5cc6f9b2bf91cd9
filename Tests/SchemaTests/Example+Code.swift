import SQLite
import Store

@testable import Evidence

extension Example {
    private func blob(_ name: String) throws(Mismatch) -> [UInt8] {
        guard case .blob(let bytes) = try value(name) else { throw Mismatch("\(name) is no blob") }
        return bytes
    }

    private func key(_ name: String) throws(Mismatch) -> SealKey {
        guard let key = SealKey(try blob(name)) else { throw Mismatch("\(name) is no key") }
        return key
    }

    func verifySHA256() throws {
        try expectNames(["sha256"])
        try expect(bytes.withUnsafeBytes { FileDigest(of: $0) }.bytes, try blob("sha256"), "digest")
    }

    func verifyHMAC() throws {
        try expectNames(["key", "hmac-sha256"])
        try expect(try key("key").code(of: bytes), try blob("hmac-sha256"), "code")
    }

    func verifySealCode() throws {
        try expectNames(["format", "generation", "root", "bytes", "sha256", "key", "hmac-sha256", "key-file"])
        guard let code = SealCode(bytes) else { throw Mismatch("the bytes are no code") }
        try expect(code.format, try number("format"), "format")
        try expect(code.generation, try word("generation"), "generation")
        try expect(code.root.rawValue, try word("root"), "root")
        try expect(code.byteCount, try word("bytes"), "bytes")
        try expect(code.sha256, Hex.text(try blob("sha256")), "digest of the file")
        try expect(code.key, Hex.text(try blob("key")), "key")
        try expect(code.code, Hex.text(try blob("hmac-sha256")), "code")
        let key = try key("key-file")
        try expect(key.identifier, code.key, "name of the key")
        try expect(Hex.text(key.code(of: code.signed)), code.code, "HMAC")
        try expectBytes(code.bytes)
    }
}
