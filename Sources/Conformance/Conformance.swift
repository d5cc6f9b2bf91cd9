import FoundationEssentials
import Glibc

/// Runs files of known-answer vectors (`Tests/Fixtures/vectors`) against the formats and structures of this version.
///
/// Counted is one per encode, decode and walk query; in a `lookup` file one per packed entry, reserved-bit violation and
/// index split. What tests something that is not built yet counts as skipped, never as passed.
public enum Conformance {
    /// A vector file is a few hundred kilobytes; more than this is refused.
    public static let byteLimit = 64 << 20

    /// Runs the file at `path`, which must be a regular file and not a link.
    public static func run(file path: String) throws(ConformanceError) -> ConformanceReport {
        try run(bytes: read(path), path: path)
    }

    /// Runs the vectors in `bytes`; `path` is for messages.
    public static func run(bytes: [UInt8], path: String) throws(ConformanceError) -> ConformanceReport {
        let data = Data(bytes)
        func decoded<T: Decodable>(_ type: T.Type) throws(ConformanceError) -> T {
            do {
                let decoder = JSONDecoder()
                decoder.keyDecodingStrategy = .convertFromSnakeCase
                return try decoder.decode(type, from: data)
            } catch {
                throw .notVectors(path: path, what: explanation(error))
            }
        }
        let head = try decoded(Head.self)
        guard head.schema == 1 else {
            throw .notVectors(path: path, what: "schema \(head.schema), expected 1")
        }
        switch head.format {
        case "lookup": return LookupConformance.run(try decoded(LookupVectors.self))
        case "vtdss": return PageTableConformance(.vtdSecondStage).run(try decoded(PageTableVectors.self))
        case "amdv1": return PageTableConformance(.amdV1).run(try decoded(PageTableVectors.self))
        case "x86_64": return PageTableConformance(.x86_64).run(try decoded(PageTableVectors.self))
        case "armv8_s2": return PageTableConformance(.armv8Stage2).run(try decoded(PageTableVectors.self))
        case "armv8_s1", "riscv":
            let counts = try decoded(UnbuiltVectors.self)
            var report = ConformanceReport()
            report.skip(
                (counts.encode?.count ?? 0) + (counts.decode?.count ?? 0)
                    + (counts.walks ?? []).reduce(0) { $0 + ($1.queries?.count ?? 0) })
            return report
        default: throw .notVectors(path: path, what: "unknown format \"\(head.format)\"")
        }
    }

    private struct Head: Decodable {
        var format: String
        var schema: Int
    }

    /// Only the number of vectors: their format is not built.
    private struct UnbuiltVectors: Decodable {
        struct Anything: Decodable {}
        struct Walk: Decodable { var queries: [Anything]? }
        var encode: [Anything]?
        var decode: [Anything]?
        var walks: [Walk]?
    }

    private static func explanation(_ error: any Error) -> String {
        func place(_ path: [any CodingKey]) -> String {
            "the file" + path.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
        }
        switch error {
        case DecodingError.keyNotFound(let key, let context):
            return "no \"\(key.stringValue)\" in \(place(context.codingPath))"
        case DecodingError.typeMismatch(_, let context), DecodingError.valueNotFound(_, let context),
            DecodingError.dataCorrupted(let context):
            return "\(place(context.codingPath)): \(context.debugDescription)"
        default: return "no JSON"
        }
    }

    private static func read(_ path: String) throws(ConformanceError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw errno == ELOOP ? .symbolicLink(path: path) : .cannotRead(path: path, errno: errno)
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .cannotRead(path: path, errno: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notARegularFile(path: path) }
        guard status.st_size <= byteLimit else {
            throw .tooLarge(path: path, bytes: status.st_size, limit: byteLimit)
        }
        var bytes = [UInt8](repeating: 0, count: status.st_size)
        var filled = 0
        while filled < bytes.count {
            let count = bytes.withUnsafeMutableBytes {
                Glibc.read(descriptor, $0.baseAddress! + filled, $0.count - filled)
            }
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { throw .cannotRead(path: path, errno: errno) }
            if count == 0 { break }
            filled += count
        }
        bytes.removeLast(bytes.count - filled)
        return bytes
    }
}
