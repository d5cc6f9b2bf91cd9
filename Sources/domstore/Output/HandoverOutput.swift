import Handover
import IOMMUModel
import Validate

/// How a handover or a restore is told: a line per phase as it ends, a line per device, what the rules among them promise,
/// the verdict last; with JSON one object.
///
/// On a terminal long lines are broken at spaces; what is piped keeps one line per phase and per device.
struct HandoverOutput {
    private let sink = OutputSink(descriptor: 1)
    private let isJSON: Bool
    private let isColored: Bool
    private let width: Int?

    /// Where the text behind a phase's name begins.
    private static let indent = 10

    init(isJSON: Bool, color: ColorMode) {
        self.isJSON = isJSON
        isColored = Terminal.usesColor(color, isTerminal: sink.isTerminal)
        width = Terminal.width(of: sink)
    }

    /// One line for a phase that has ended: name, counts, time; its notes below, indented.
    func phase(_ phase: HandoverReport.Phase) throws(OutputError) {
        guard !isJSON else { return }
        let counts = phase.counts.map(\.text).joined(separator: ", ")
        try line(phase.phase.rawValue, "\(counts)  [\(Self.milliseconds(phase.seconds))\(Wrapping.fixedSpace)ms]")
        for note in phase.notes { try line("", Escaping.escaped(note)) }
        try sink.flush()
    }

    /// One line for a step of a scenario: what was asked, the answer where it is an error, where the device stands in the
    /// lifecycle, and where it stood if that has changed.
    func step(_ step: HandoverReport.Step) throws(OutputError) {
        guard !isJSON else { return }
        var text = step.name
        for argument in step.arguments { text += " \(argument.name)=\(Escaping.escaped(argument.value))" }
        if let errno = step.errno { text += "  \(errno.name)" }
        if let after = step.after {
            text += "  " + (step.before.map { $0 == after ? after : "\($0) → \(after)" } ?? after)
        } else if let before = step.before {
            text += "  \(before) → –"
        }
        try line("\(step.isAfterJump ? "then" : "step") \(step.number)", text)
        try sink.flush()
    }

    /// The devices and the verdict; in JSON the whole report.
    func end(_ report: HandoverReport) throws(OutputError) {
        if isJSON {
            try sink.write(Self.json(report))
        } else {
            if let seconds = Self.blackoutSeconds(report) {
                let stages = report.blackout.map(\.phase.rawValue).joined(separator: ", ")
                try line("blackout", "\(stages)  [\(Self.milliseconds(seconds))\(Wrapping.fixedSpace)ms]")
            }
            for device in report.devices { try self.device(device) }
            try explain(report)
            if !report.verdictReason.isEmpty { try line("reason", Escaping.escaped(report.verdictReason)) }
            var verdict = "verdict: \(report.verdict)"
            if let generation = report.generation { verdict += " (generation \(generation))" }
            if let rule = report.verdictRule { verdict += " by rule \(rule.rawValue)" }
            let isGood = report.verdict == "restored" || report.verdict == "reconstructed"
            try sink.line(isGood ? verdict : Style.error.applied(to: verdict, when: isColored))
        }
        try sink.flush()
    }

    /// State, device, errno and rule in columns; below it what was found, if that is not the same for every device of the
    /// rule.
    private func device(_ device: HandoverReport.Device) throws(OutputError) {
        var text = DisplayWidth.padded(device.state.rawValue, to: 14, right: false) + " "
        let name = "\(device.requester)" + (device.pasid.map { "#\($0)" } ?? "")
        text += device.errno == nil ? name : DisplayWidth.padded(name, to: 12, right: false)
        if let errno = device.errno { text += "  " + DisplayWidth.padded(errno.name, to: 10, right: false) }
        if let rule = device.rule { text += "  " + rule.rawValue }
        try lines(text, indent: 15)
        if !device.reason.isEmpty, device.state != .refused {
            try lines(String(repeating: " ", count: 15) + Escaping.escaped(device.reason), indent: 15)
        }
    }

    /// What the rules among the devices promise, each once.
    private func explain(_ report: HandoverReport) throws(OutputError) {
        var told: Set<RuleID> = []
        for rule in report.devices.compactMap(\.rule) where told.insert(rule).inserted {
            try lines("rule \(rule.rawValue): \(Rule.of(rule).promise)", indent: 5)
        }
    }

    private func line(_ name: String, _ text: String) throws(OutputError) {
        // A step of a long scenario has a longer name.
        let margin = DisplayWidth.padded(name, to: Self.indent - 1, right: false) + " "
        let lines = Wrapping.lines(margin + text, width: width, indent: Self.indent)
        for (index, line) in lines.enumerated() {
            let head = Style.header.applied(to: name, when: isColored && index == 0 && !name.isEmpty)
            try sink.line(index == 0 ? head + line.dropFirst(name.count) : line)
        }
    }

    private func lines(_ text: String, indent: Int) throws(OutputError) {
        for line in Wrapping.lines(text, width: width, indent: indent) { try sink.line(line) }
    }

    /// `nil` when there was no blackout.
    private static func blackoutSeconds(_ report: HandoverReport) -> Double? {
        report.blackout.isEmpty ? nil : report.blackout.reduce(0) { $0 + $1.seconds }
    }

    private static func milliseconds(_ seconds: Double) -> String {
        let microseconds = UInt64(max(0, seconds) * 1_000_000)
        let fraction = String(microseconds % 1000 / 10)
        return "\(microseconds / 1000).\(fraction.count < 2 ? "0" + fraction : fraction)"
    }

    /// `{phases: [{phase, seconds, counts, notes}], blackout_seconds, devices: [{device, pasid, state, errno, rule, reason}], verdict …}`.
    static func json(_ report: HandoverReport) -> String {
        let phases = report.phases.map { phase in
            JSONText.object(members: [
                ("phase", JSONText.string(phase.phase.rawValue)), ("seconds", "\(phase.seconds)"),
                ("counts", JSONText.object(phase.counts.map { ($0.key, Cell($0.value)) })),
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
        let steps = report.steps.map { step in
            JSONText.object(members: [
                ("number", "\(step.number)"), ("after_jump", "\(step.isAfterJump)"), ("do", JSONText.string(step.name)),
                ("arguments", JSONText.object(step.arguments.map { ($0.name, .text($0.value)) })),
                ("errno", JSONText.value(Cell(step.errno?.name))), ("before", JSONText.value(Cell(step.before))),
                ("after", JSONText.value(Cell(step.after))),
            ])
        }
        let generation = JSONText.value(Cell(report.generation))
        let rule = JSONText.value(Cell(report.verdictRule?.rawValue))
        return """
            {
              "steps": [\(list(steps))],
              "phases": [\(list(phases))],
              "blackout_seconds": \(blackoutSeconds(report).map { "\($0)" } ?? "null"),
              "devices": [\(list(devices))],
              "generation": \(generation),
              "recorded": \(JSONText.value(Cell(report.recorded))),
              "rule": \(rule),
              "reason": \(JSONText.value(Cell(report.verdictReason.isEmpty ? nil : report.verdictReason))),
              "verdict": \(JSONText.string(report.verdict))
            }

            """
    }

    private static func list(_ items: [String]) -> String {
        items.isEmpty ? "" : "\n    " + items.joined(separator: ",\n    ") + "\n  "
    }
}
