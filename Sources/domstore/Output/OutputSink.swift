import Glibc

/// A buffered writer to a file descriptor.
///
/// A reader that goes away (`| head`) is no error: the sink closes itself and swallows the rest; a long loop asks
/// ``isClosed`` and stops. Needs SIGPIPE to be ignored.
final class OutputSink {
    let descriptor: Int32
    /// True when it ends in a terminal.
    let isTerminal: Bool
    /// True when the reader has gone.
    private(set) var isClosed = false
    private var buffer: [UInt8] = []
    private let capacity = 1 << 16

    init(descriptor: Int32) {
        self.descriptor = descriptor
        isTerminal = isatty(descriptor) == 1
        buffer.reserveCapacity(capacity + 4096)
    }

    func write(_ text: String) throws(OutputError) {
        buffer.append(contentsOf: text.utf8)
        if buffer.count >= capacity { try flush() }
    }

    func line(_ text: String) throws(OutputError) { try write(text + "\n") }

    /// Hands everything buffered to the kernel.
    func flush() throws(OutputError) {
        defer { buffer.removeAll(keepingCapacity: true) }
        var start = 0
        while start < buffer.count, !isClosed {
            let written = buffer.withUnsafeBytes {
                Glibc.write(descriptor, $0.baseAddress! + start, $0.count - start)
            }
            if written >= 0 {
                start += written
            } else if errno == EPIPE {
                isClosed = true
            } else if errno != EINTR {
                throw OutputError(number: errno)
            }
        }
    }
}

/// Standard output could not be written.
struct OutputError: Error, CustomStringConvertible {
    /// The system's error number.
    var number: Int32
    var description: String { "standard output: \(systemMessage(number)); expected to be able to write" }
}

/// The system's words for error `number`.
func systemMessage(_ number: Int32) -> String { String(cString: strerror(number)) }
