import Glibc

/// What a thread of its own works out while this one does something else.
package final class Meanwhile<Value: Sendable>: @unchecked Sendable {
    private let work: @Sendable () -> Value
    /// Written by the thread, read when it was joined: hence unchecked.
    private var value: Value?
    /// `nil`: there was no thread to be had.
    private var thread: pthread_t?

    /// Work on so many bytes of a file is over sooner with a second thread. By measurement: profile X with its 39 MB is, by
    /// two fifths; a host of 4,096 devices and 10,000 areas, mostly rows of devices and attachments, gains nothing.
    static func isWorthIt(bytes: Int) -> Bool { bytes >= 4 << 20 && sysconf(Int32(_SC_NPROCESSORS_ONLN)) > 1 }

    /// Begins with `work`, whose result has to be waited for; unless it `isWorthIt`, it is done when it is waited for.
    package init(if isWorthIt: Bool = true, _ work: @escaping @Sendable () -> Value) {
        self.work = work
        guard isWorthIt else { return }
        let job = Unmanaged.passRetained(Job { self.value = work() })
        var thread = pthread_t()
        let error = pthread_create(
            &thread, nil,
            { job in
                if let job { Unmanaged<Job>.fromOpaque(job).takeRetainedValue().run() }
                return nil
            }, job.toOpaque())
        if error == 0 { self.thread = thread } else { job.release() }
    }

    /// The result, when it is there. To be called once.
    package func wait() -> Value {
        if let thread { pthread_join(thread, nil) }
        thread = nil
        return value ?? work()
    }

    deinit { if let thread { pthread_detach(thread) } }
}

/// What a new thread is handed.
private final class Job {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }
}
