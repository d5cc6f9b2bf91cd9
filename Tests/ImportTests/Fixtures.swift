import Glibc
import IOMMUModel

@testable import Import

/// Paths of the fixtures, and files for one test.
enum Fixtures {
    static let root =
        #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        + "/Fixtures/"

    static func image(_ name: String) -> String { root + "images/" + name }

    static func bytes(_ path: String) throws -> [UInt8] { try InputFile(path).bytes(limit: 1 << 30) }

    static func vtd48() throws -> MachineImage {
        try MachineImage(
            file: image("vtd48.elf"), metadata: try ImageMetadata(file: image("vtd48.json")))
    }

    /// A file with `bytes` that is removed after `body`.
    static func withFile<R>(_ bytes: [UInt8], _ body: (String) throws -> R) throws -> R {
        var path = Array("/tmp/domstore-import-XXXXXX".utf8CString)
        let descriptor = mkstemp(&path)
        precondition(descriptor >= 0)
        let name = String(decoding: path.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(name) }
        precondition(bytes.withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) } == bytes.count)
        close(descriptor)
        return try body(name)
    }
}

/// xorshift64*: the same numbers for the same seed.
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed | 1 }

    mutating func next() -> UInt64 {
        state ^= state >> 12
        state ^= state << 25
        state ^= state >> 27
        return state &* 0x2545_f491_4f6c_dd1d
    }
}
