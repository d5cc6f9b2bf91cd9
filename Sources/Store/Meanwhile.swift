import Dispatch
import Glibc

/// What a thread of its own works out while this one does something else.
final class Meanwhile<Value: Sendable>: @unchecked Sendable {
    /// Written before ``done`` is signalled, read after it.
    private var value: Value?
    private let done = DispatchSemaphore(value: 0)

    /// Work on so many bytes of a file is over sooner with a second thread; smaller files are read in the time that one takes
    /// to begin.
    static func isWorthIt(bytes: Int) -> Bool { bytes >= 4 << 20 && sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 }

    /// Begins with `work`.
    init(_ work: @escaping @Sendable () -> Value) {
        DispatchQueue(label: "meanwhile").async { [self] in
            value = work()
            done.signal()
        }
    }

    /// The result, when it is there. To be called once.
    func wait() -> Value {
        done.wait()
        guard let value else { preconditionFailure("signalled without a value") }
        return value
    }
}
