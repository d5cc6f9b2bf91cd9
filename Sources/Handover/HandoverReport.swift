import IOMMUModel

/// What a handover or a restore came to: a line per phase, a line per device and PASID, a verdict.
public struct HandoverReport: Sendable {
    /// One stage with what it counted.
    public struct Phase: Sendable {
        public var phase: HandoverPhase
        /// Wall-clock time in seconds.
        public var seconds: Double
        /// Named counts in the order they are told.
        public var counts: [Count]
        /// Sentences that belong to the phase: refusals, what could not be shown.
        public var notes: [String]
        public init(phase: HandoverPhase, seconds: Double, counts: [Count] = [], notes: [String] = []) {
            self.phase = phase
            self.seconds = seconds
            self.counts = counts
            self.notes = notes
        }
    }

    /// One named number of a phase.
    public struct Count: Sendable, Hashable {
        public var name: String
        public var value: UInt64
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
        public enum State: String, Sendable, Hashable, CaseIterable {
            /// Not carried: its lookup entry was cleared before the jump.
            case refused
            /// Carried and sealed.
            case preserved
            /// Attached to the pre-existing domain by the new kernel.
            case restored
            /// On the tables that the new userspace built.
            case replaced
            /// On the same pass-through entry as before; there are no tables to replace.
            case passedThrough = "passed-through"
            /// Blocked, because its restore or audit failed.
            case quarantined
        }
        public var requester: RequesterID
        public var pasid: PASID?
        public var state: State
        public var errno: Errno?
        public var rule: RuleID?
        /// Why, in words; empty when there is nothing to say.
        public var reason: String
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

    public var phases: [Phase] = []
    public var devices: [Device] = []
    /// The verdict's name: `restored`, `degraded`, `reconstructed`, `cold-boot`, `stop`.
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

    public init() {}
}
