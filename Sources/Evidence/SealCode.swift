import Glibc
import IOMMUModel
import Store

/// What vouches for a sealed generation: a file of a few lines beside it, `FILE.hmac`, with the SHA-256 of the whole file
/// and an HMAC-SHA256 over all of that by a key (Schema/FORMAT.md, "Seal code").
///
/// The root digest alone is no ground for an HMAC: anyone can make other records of the same 64 bits. The digest of the
/// file takes in every byte, the header included.
public struct SealCode: Sendable, Hashable {
    /// Beside `N.domstore` stands `N.domstore.hmac`.
    public static let ending = ".hmac"
    /// Bytes that a code's file may have.
    static let limit = 1024

    /// The format version of the generation.
    public var format: UInt32
    /// The generation sealed.
    public var generation: UInt64
    /// Its root digest.
    public var root: RootDigest
    /// Size of the file.
    public var byteCount: UInt64
    /// SHA-256 of the file, 64 digits.
    public var sha256: String
    /// ``SealKey/identifier`` of the key.
    public var key: String
    /// The HMAC, 64 digits.
    public var code: String

    /// The code of the generation that `reader` has read, byte for byte.
    public init(of reader: borrowing GenerationReader, key: SealKey) throws(SealCodeError) {
        guard let seal = reader.seal else { throw .unsealed(path: reader.header.path) }
        format = reader.header.formatVersion
        generation = seal.generation
        root = seal.root
        byteCount = reader.header.byteCount
        sha256 = reader.withFileBytes { FileDigest(of: $0) }.description
        self.key = key.identifier
        code = ""
        code = Hex.text(key.code(of: signed))
    }

    /// What the HMAC is over.
    public var signed: [UInt8] {
        Array(
            """
            domstore-seal-code 1
            format \(format)
            generation \(generation)
            root \(root)
            bytes \(byteCount)
            sha256 \(sha256)
            key \(key)

            """.utf8)
    }

    /// The file's content.
    public var bytes: [UInt8] { signed + Array("hmac-sha256 \(code)\n".utf8) }

    /// Reads a file's content; `nil` unless it is exactly what ``bytes`` gives.
    public init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var values: [String: String] = [:]
        for line in text.split(separator: "\n") {
            guard let space = line.firstIndex(of: " ") else { return nil }
            values[String(line[..<space])] = String(line[line.index(after: space)...])
        }
        guard let format = values["format"].flatMap({ UInt32($0) }),
            let generation = values["generation"].flatMap({ UInt64($0) }),
            let root = values["root"].flatMap({ RootDigest($0) }), let count = values["bytes"].flatMap({ UInt64($0) }),
            let sha256 = values["sha256"], Hex.bytes(sha256, count: 32) != nil,
            let key = values["key"], Hex.bytes(key, count: 8) != nil,
            let code = values["hmac-sha256"], Hex.bytes(code, count: 32) != nil
        else { return nil }
        (self.format, self.generation, self.root, byteCount) = (format, generation, root, count)
        (self.sha256, self.key, self.code) = (sha256, key, code)
        guard self.bytes == bytes else { return nil }
    }

    /// Checks that the code beside the generation vouches for exactly the bytes that `reader` has read.
    ///
    /// - Throws: ``SealCodeError``; nothing of the generation may be believed then.
    public static func verify(_ reader: borrowing GenerationReader, key: SealKey) throws(SealCodeError) {
        let path = reader.header.path + ending
        let expected = try SealCode(of: reader, key: key)
        let bytes: [UInt8]
        do throws(SealCodeError) { bytes = try SmallFile.read(path, limit: limit) } catch {
            if case .unreadable(_, ENOENT) = error { throw .missing(path: path) }
            if case .notAKey(_, let what) = error { throw .malformed(path: path, what: "found \(what)") }
            throw error
        }
        guard let found = SealCode(bytes) else { throw .malformed(path: path, what: "found another text") }
        guard found.key == expected.key else { throw .otherKey(path: path, found: found.key, expected: expected.key) }
        guard let code = Hex.bytes(found.code, count: 32), key.isCode(code, of: found.signed) else {
            throw .forged(path: path)
        }
        func same<T: Equatable>(_ name: String, _ field: KeyPath<SealCode, T>) throws(SealCodeError) {
            guard found[keyPath: field] != expected[keyPath: field] else { return }
            throw .differs(
                path: path, what: "\(name) \(found[keyPath: field]), the file has \(expected[keyPath: field])")
        }
        try same("generation", \.generation)
        try same("format", \.format)
        try same("root", \.root)
        try same("bytes", \.byteCount)
        try same("sha256", \.sha256)
    }

    /// Writes the code of the sealed generation at `path` beside it, durably: a new file, or in place of an older code.
    public static func write(of path: String, key: SealKey) throws {
        let reader = try GenerationReader(path: path)
        try write(SealCode(of: reader, key: key), beside: reader.header.path)
    }

    /// As ``write(of:key:)``, of a whole sealed file at `path` that gets the name `name` only after this: so no crash leaves
    /// it there without its code.
    public static func write(of path: String, named name: String, key: SealKey) throws(StoreError) {
        let reader = try GenerationReader(path: path)
        do throws(SealCodeError) {
            try write(SealCode(of: reader, key: key), beside: name)
        } catch {
            guard case .unwritable(let path, let errno) = error else {
                throw .verificationFailed(path: path, what: error.description)
            }
            throw .io(operation: "write", path: path, errno: errno)
        }
    }

    /// Makes the code of a sealed generation that has none, because its maker died before it, or it was lost.
    ///
    /// The caller says which seal is meant, and must know from elsewhere that it is to be believed: whoever has the key
    /// vouches by this for every byte that is there now.
    ///
    /// - Throws: ``SealCodeError/otherSeal(path:found:expected:)``, ``SealCodeError/exists(path:)``: a code that is there,
    ///   good or not, stays. ``SealCodeError/journal(path:)``: what was read may not be what the file holds.
    public static func make(
        of reader: borrowing GenerationReader, expecting expected: ExpectedSeal, key: SealKey
    ) throws(SealCodeError) {
        let path = reader.header.path
        guard let seal = reader.seal else { throw .unsealed(path: path) }
        guard expected.matches(seal) else {
            throw .otherSeal(path: path, found: seal.receipt.expected, expected: expected)
        }
        switch reader.header.journal {
        case .none, .spent: break
        case .rolledBack, .stray: throw .journal(path: path)
        }
        let code = try SealCode(of: reader, key: key)
        var status = stat()
        guard lstat(path + ending, &status) != 0, errno == ENOENT else { throw .exists(path: path + ending) }
        try write(code, beside: path)
    }

    private static func write(_ code: SealCode, beside generation: String) throws(SealCodeError) {
        let path = generation + ending
        let temporary = "\(path).\(getpid()).tmp"
        let file = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o444)
        guard file >= 0 else { throw .unwritable(path: temporary, errno: errno) }
        let bytes = code.bytes
        let isWritten =
            bytes.withUnsafeBytes { Glibc.write(file, $0.baseAddress, $0.count) } == bytes.count && fsync(file) == 0
        let problem = errno
        close(file)
        guard isWritten, rename(temporary, path) == 0 else {
            let problem = isWritten ? errno : problem
            unlink(temporary)
            throw .unwritable(path: path, errno: problem)
        }
        let slash = path.lastIndex(of: "/")
        let directory = slash.map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        let folder = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .unwritable(path: directory, errno: errno) }
        defer { close(folder) }
        guard fsync(folder) == 0 else { throw .unwritable(path: directory, errno: errno) }
    }
}
