import Dispatch
import Glibc
import Synchronization

/// Tells people on a terminal that long work goes on: a line on standard error after half a second, erased at the end.
enum Progress {
    /// Runs `work` and says `label` with the seconds meanwhile, if it lasts.
    static func during<Result, Problem: Error>(
        _ label: String, _ work: () throws(Problem) -> Result
    ) throws(Problem) -> Result {
        let line = ProgressLine(label)
        defer { line?.end() }
        return try work()
    }

    /// What work is to call that tells how much of it is done, 0 first and all of it last, on any thread, one call at a
    /// time: `doing`, then how many of how many `things`.
    static func counting(_ doing: String, _ things: String) -> @Sendable (Int, Int) -> Void {
        let keeper = Keeper()
        return { done, count in
            keeper.line.withLock { line in
                if done == count {
                    line?.end()
                    line = nil
                    return
                }
                if line == nil { line = ProgressLine("") }
                line?.say("\(doing) \(done) of \(count) \(things)")
            }
        }
    }

    /// A mutex that a closure can hold.
    private final class Keeper: Sendable {
        let line = Mutex<ProgressLine?>(nil)
    }
}

/// The line that is written again and again.
private final class ProgressLine: Sendable {
    private let start = DispatchTime.now()
    private let queue = DispatchQueue(label: "progress")
    // Set up before anybody else has it, cancelled once.
    private nonisolated(unsafe) let timer: any DispatchSourceTimer
    private let label: Mutex<String>

    /// `nil` when there is no terminal to write to.
    init?(_ label: String) {
        guard isatty(STDERR_FILENO) == 1, Terminal.environment("TERM") != "dumb" else { return nil }
        self.label = Mutex(label)
        timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler { [start, weak self] in
            guard let text = self?.label.withLock(\.self) else { return }
            let tenths = (DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 100_000_000
            Talk.write("\r\u{1b}[K\(Escaping.escaped(text)) … \(tenths / 10).\(tenths % 10) s")
        }
        timer.schedule(deadline: start + .milliseconds(500), repeating: .milliseconds(200))
        timer.activate()
    }

    /// What is said from now on.
    func say(_ label: String) { self.label.withLock { $0 = label } }

    /// Erases the line.
    func end() {
        timer.cancel()
        // Behind any tick already under way.
        queue.sync {
            if DispatchTime.now() > start + .milliseconds(500) { Talk.write("\r\u{1b}[K") }
        }
    }
}
