import Handover
import IOMMUModel

/// How a handover or a restore is told: a line per phase as it ends, a line per device, the verdict last; with JSON one
/// object.
struct HandoverOutput {
    private let sink = OutputSink(descriptor: 1)
    private let isJSON: Bool
    private let color: ColorMode

    init(isJSON: Bool, color: ColorMode) {
        self.isJSON = isJSON
        self.color = color
    }

    /// One line for a phase that has ended: name, counts, time; its notes below, indented.
    func phase(_ phase: HandoverReport.Phase) throws(OutputError) {
        guard !isJSON else { return }
        let name = DisplayWidth.padded(phase.phase.rawValue, to: 9, right: false)
        let counts = phase.counts.map { "\($0.value) \($0.name)" }.joined(separator: ", ")
        let isColored = Terminal.usesColor(color, isTerminal: sink.isTerminal)
        try sink.line(
            "\(Style.header.applied(to: name, when: isColored)) \(counts)  [\(Self.milliseconds(phase.seconds))]")
        for note in phase.notes { try sink.line("          \(Escaping.escaped(note))") }
        try sink.flush()
    }

    /// The devices and the verdict; in JSON the whole report.
    func end(_ report: HandoverReport) throws(OutputError) {
        if isJSON {
            try sink.write(Self.json(report))
        } else {
            let isColored = Terminal.usesColor(color, isTerminal: sink.isTerminal)
            for device in report.devices {
                var line = DisplayWidth.padded(device.state.rawValue, to: 14, right: false) + " \(device.requester)"
                if let pasid = device.pasid { line += "#\(pasid)" }
                if let errno = device.errno { line += " \(errno.name)" }
                if let rule = device.rule { line += " (\(rule.rawValue))" }
                if !device.reason.isEmpty { line += ": \(Escaping.escaped(device.reason))" }
                try sink.line(line)
            }
            var verdict = "verdict: \(report.verdict)"
            if let generation = report.generation { verdict += " (generation \(generation))" }
            if let rule = report.verdictRule { verdict += " by rule \(rule.rawValue)" }
            let good = report.verdict == "restored" || report.verdict == "reconstructed"
            try sink.line(good ? verdict : Style.error.applied(to: verdict, when: isColored))
        }
        try sink.flush()
    }

    private static func milliseconds(_ seconds: Double) -> String {
        let microseconds = UInt64(max(0, seconds) * 1_000_000)
        let fraction = String(microseconds % 1000 / 10)
        return "\(microseconds / 1000).\(fraction.count < 2 ? "0" + fraction : fraction) ms"
    }

    /// `{phases: [{phase, seconds, counts, notes}], devices: [{device, pasid, state, errno, rule, reason}], verdict …}`.
    static func json(_ report: HandoverReport) -> String {
        let phases = report.phases.map { phase in
            JSONText.object(members: [
                ("phase", JSONText.string(phase.phase.rawValue)), ("seconds", "\(phase.seconds)"),
                ("counts", JSONText.object(phase.counts.map { ($0.name, Cell($0.value)) })),
                ("notes", "[" + phase.notes.map(JSONText.string).joined(separator: ", ") + "]"),
            ])
        }
        let devices = report.devices.map { device in
            JSONText.object([
                ("device", .text(device.requester.description)), ("pasid", Cell(pasid: device.pasid)),
                ("state", .text(device.state.rawValue)), ("errno", Cell(device.errno?.name)),
                ("rule", Cell(device.rule?.rawValue)), ("reason", .text(device.reason)),
            ])
        }
        let generation = JSONText.value(Cell(report.generation))
        let rule = JSONText.value(Cell(report.verdictRule?.rawValue))
        return """
            {
              "phases": [\(list(phases))],
              "devices": [\(list(devices))],
              "generation": \(generation),
              "rule": \(rule),
              "verdict": \(JSONText.string(report.verdict))
            }

            """
    }

    private static func list(_ items: [String]) -> String {
        items.isEmpty ? "" : "\n    " + items.joined(separator: ",\n    ") + "\n  "
    }
}
