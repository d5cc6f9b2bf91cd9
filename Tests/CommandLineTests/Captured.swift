import Glibc

@testable import domstore

/// What a sink wrote, through a temporary file.
enum Captured {
    static func output(_ body: (OutputSink) throws -> Void) throws -> String {
        guard let file = tmpfile() else { throw OutputError(number: errno) }
        defer { fclose(file) }
        let sink = OutputSink(descriptor: fileno(file))
        try body(sink)
        try sink.flush()
        let size = lseek(fileno(file), 0, SEEK_END)
        var bytes = [UInt8](repeating: 0, count: Int(size))
        guard pread(fileno(file), &bytes, bytes.count, 0) == bytes.count else { throw OutputError(number: errno) }
        return String(decoding: bytes, as: UTF8.self)
    }
}
