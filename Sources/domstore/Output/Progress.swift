import Dispatch
import Glibc

/// Tells people on a terminal that long work goes on: a line on standard error after half a second, erased at the end.
enum Progress {
    /// Runs `work` and says `label` with the seconds meanwhile, if it lasts.
    static func during<Result, Problem: Error>(
        _ label: String, _ work: () throws(Problem) -> Result
    ) throws(Problem) -> Result {
        guard isatty(STDERR_FILENO) == 1, Terminal.environment("TERM") != "dumb" else { return try work() }
        let start = DispatchTime.now()
        let line = Escaping.escaped(label)
        let queue = DispatchQueue(label: "progress")
        let timer = DispatchSource.makeTimerSource(queue: queue)
        timer.setEventHandler {
            let tenths = (DispatchTime.now().uptimeNanoseconds - start.uptimeNanoseconds) / 100_000_000
            Talk.write("\r\u{1b}[K\(line) … \(tenths / 10).\(tenths % 10) s")
        }
        timer.schedule(deadline: start + .milliseconds(500), repeating: .milliseconds(200))
        timer.activate()
        defer {
            timer.cancel()
            // Behind any tick already under way.
            queue.sync {
                if DispatchTime.now() > start + .milliseconds(500) { Talk.write("\r\u{1b}[K") }
            }
        }
        return try work()
    }
}
