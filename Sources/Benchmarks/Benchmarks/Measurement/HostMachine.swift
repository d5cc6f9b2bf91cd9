import Glibc

/// What a figure depends on beside the code.
public enum HostMachine {
    /// The processor's model name, and how many of them this process may use.
    public static var processor: String {
        let model =
            lines(of: "/proc/cpuinfo").first { $0.hasPrefix("model name") }?
            .split(separator: ":").last.map { $0.drop { $0 == " " } }
        return "\(model ?? "unknown") x \(sysconf(Int32(_SC_NPROCESSORS_ONLN)))"
    }

    /// Processes that ran or waited to run during the last minute, on average.
    public static var loadAverage: String {
        lines(of: "/proc/loadavg").first?.split(separator: " ").first.map(String.init) ?? "unknown"
    }

    /// Today, as YYYY-MM-DD in UTC.
    public static var date: String {
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        func padded(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "\(parts.tm_year + 1900)-\(padded(parts.tm_mon + 1))-\(padded(parts.tm_mday))"
    }

    /// The file's lines; none when it cannot be read.
    public static func lines(of path: String) -> [String] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var byte = fgetc(file)
        while byte != EOF {
            bytes.append(UInt8(truncatingIfNeeded: byte))
            byte = fgetc(file)
        }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }
}
