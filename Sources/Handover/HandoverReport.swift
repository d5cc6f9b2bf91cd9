import IOMMUModel

/// What a handover or a restore came to: a line per phase, a line per device and PASID, a verdict.
public struct HandoverReport: Sendable {
    /// One stage with what it counted.
    public struct Phase: Sendable {
        /// Which stage it is.
        public var phase: HandoverPhase
        /// Wall-clock time in seconds.
        public var seconds: Double
        /// Named counts in the order they are told.
        public var counts: [Count]
        /// Sentences that belong to the phase: refusals, what could not be shown.
        public var notes: [String]
        /// All as given; nothing is checked.
        public init(phase: HandoverPhase, seconds: Double, counts: [Count] = [], notes: [String] = []) {
            self.phase = phase
            self.seconds = seconds
            self.counts = counts
            self.notes = notes
        }
    }

    /// One step of a scenario: what was asked, and what became of it.
    public struct Step: Sendable, Hashable {
        /// From 1, before the handover and after the jump anew.
        public var number: Int
        /// Of the userspace after the jump.
        public var isAfterJump: Bool
        /// The operation's name, as in the file.
        public var name: String
        /// Its arguments in the order of their names, as in the file.
        public var arguments: [Event.Argument]
        /// What it was answered with; `nil`: success.
        public var errno: Errno?
        /// The device that it names, with its PASID.
        public var device: RequesterID?
        /// See ``device``.
        public var pasid: PASID?
        /// Where that stood in the lifecycle before, as `D6`; `nil` without a device, or when it was not attached.
        public var before: String?
        /// And where it stands now.
        public var after: String?

        /// All as given; nothing is checked.
        public init(
            number: Int, isAfterJump: Bool, name: String, arguments: [Event.Argument], errno: Errno?,
            device: RequesterID?, pasid: PASID?, before: String?, after: String?
        ) {
            self.number = number
            self.isAfterJump = isAfterJump
            self.name = name
            self.arguments = arguments
            self.errno = errno
            self.device = device
            self.pasid = pasid
            self.before = before
            self.after = after
        }
    }

    /// One named number of a phase.
    public struct Count: Sendable, Hashable {
        /// As it is printed behind the number: `table pages`.
        public var name: String
        /// How many.
        public var value: UInt64
        /// A negative `value`, or one over 64 bits, is a bug of the caller.
        public init(_ name: String, _ value: some BinaryInteger) {
            self.name = name
            self.value = UInt64(value)
        }

        /// The name as a key of JSON: `dma_probes`.
        public var key: String {
            name.lowercased().split { !$0.isLetter && !$0.isNumber }.joined(separator: "_")
        }

        /// `3 table pages`, `1 table page`.
        public var text: String {
            guard value == 1, !name.contains(" on ") else { return "\(value) \(name)" }
            let words = name.split(separator: " ").map { word in
                if word == "entries" { return "entry" }
                return word.hasSuffix("s") && !word.hasSuffix("ss") ? String(word.dropLast()) : String(word)
            }
            return "1 " + words.joined(separator: " ")
        }
    }

    /// What became of one device's requests, with one PASID or untagged.
    public struct Device: Sendable, Hashable {
        /// The last thing that happened to it.
        public enum State: String, Sendable, Hashable, CaseIterable {
            /// Not carried: its lookup entry was cleared before the jump.
            case refused
            /// Not carried, but its group must not be blocked: it stays on its domain, and nobody gets it.
            case kept
            /// Carried and sealed.
            case preserved
            /// Attached to the pre-existing domain by the new kernel.
            case restored
            /// On the tables that the new userspace built.
            case replaced
            /// On the same pass-through entry as before; there are no tables to replace.
            case passedThrough = "passed-through"
            /// Given up after the jump: reset, on its default domain.
            case released
            /// Blocked, because its restore or audit failed, or it was discarded.
            case quarantined
        }
        /// The device.
        public var requester: RequesterID
        /// `nil`: untagged.
        public var pasid: PASID?
        /// What became of it.
        public var state: State
        /// What stopped it on its way: refused, quarantined, or restored but not replaced; `nil` when nothing did.
        public var errno: Errno?
        /// The broken rule behind it, when there is one.
        public var rule: RuleID?
        /// Why, in words; empty when there is nothing to say.
        public var reason: String
        /// All as given; nothing is checked.
        public init(
            requester: RequesterID, pasid: PASID?, state: State, errno: Errno? = nil, rule: RuleID? = nil,
            reason: String = ""
        ) {
            self.requester = requester
            self.pasid = pasid
            self.state = state
            self.errno = errno
            self.rule = rule
            self.reason = reason
        }
    }

    /// In the order in which they ended.
    public var phases: [Phase] = []
    /// The stages of the last blackout that ended with a restore: from the freeze on until every device is restored nothing
    /// can be changed; DMA goes on. Of a restore by itself its own part; none when nothing was restored.
    public var blackout: ArraySlice<Phase> {
        guard verdict != "quarantined", let end = phases.lastIndex(where: { $0.phase == .restore }) else { return [] }
        let start = phases[..<end].lastIndex { $0.phase == .freeze || $0.phase == .restore }
        guard let start, phases[start].phase == .freeze else { return phases[end...end] }
        return phases[start...end]
    }
    /// A scenario's steps, those after the jump behind the others.
    public var steps: [Step] = []
    /// One line per device and PASID.
    public var devices: [Device] = []
    /// The verdict of a handover that ended before the jump: the old kernel goes on, with everything as it was.
    public static let aborted = "aborted"
    /// The verdict of a scenario whose planted bug was found: ``verdictReason`` says what was.
    public static let broken = "broken"
    /// The verdict's name: `restored`, `degraded`, `reconstructed`, `cold-boot`, `stop`, `quarantined`, ``aborted`` or ``broken``.
    public var verdict: String = ""
    /// The rule that decided the verdict, when one did.
    public var verdictRule: RuleID?
    /// Why the verdict is not `restored`, in one line; empty when the lines of the devices say it.
    public var verdictReason: String = ""
    /// True when no device was left on its inherited tables because of an error.
    public var isSettled: Bool { !devices.contains { $0.state == .restored && $0.errno != nil } }
    /// The generation that the verdict speaks of.
    public var generation: UInt64?
    /// The file that the engine after the jump writes; `nil` when nothing is recorded.
    public var recorded: String?

    /// Nothing has happened yet.
    public init() {}
}
