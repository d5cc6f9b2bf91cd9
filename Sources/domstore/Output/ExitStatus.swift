/// The one table of exit codes (product.md).
enum ExitStatus: Int32 {
    /// Fine; a refused device is an answer, not an error.
    case fine = 0
    /// Findings of severity `error`, a difference, a translation that faults, a verdict other than `restored` or
    /// `reconstructed`.
    case findings = 1
    /// The input is not what it must be.
    case badInput = 2
    /// Input or output failed, a missing file included.
    case inputOutput = 3
    /// The command line is wrong.
    case usage = 64
}

/// A verb ends here: with a code and, unless the output has said it all, one line on standard error.
struct Failure: Error, CustomStringConvertible {
    var status: ExitStatus
    /// `FILE: what was found; what was expected`, or `nil` when nothing more is to be said.
    var message: String?

    init(_ status: ExitStatus, _ message: String? = nil) {
        self.status = status
        self.message = message
    }

    /// The output has said it: exit 1.
    static var findings: Failure { Failure(.findings) }

    var description: String { message ?? "" }
}
