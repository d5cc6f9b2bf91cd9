/// One path of the library beside the same work done otherwise.
public struct Benchmark {
    /// Lower case, no spaces.
    public let name: String
    /// What is compared, in words.
    public let summary: String
    /// The most that the median ratio may be; `nil` when the figure is for information only.
    public let goal: Double?
    /// What a round's time is read from.
    public let clock: Clock
    /// How often each side runs in one round, both in turn; a round's time is the sum. For work that is over too soon.
    public let repetitions: Int
    /// Both sides do the same work, so that their instructions can be compared, too.
    public let countsInstructions: Bool
    /// What is measured.
    public let subject: Side
    /// What it is compared with.
    public let reference: Side
    /// What was counted rather than timed; asked for after the rounds.
    public let counts: () throws -> [Count]
    /// What it can tell beside figures, in words; asked for after the rounds.
    public let facts: () throws -> [String]

    /// All as given; `repetitions` is at least 1. Nothing is run.
    public init(
        name: String, summary: String, goal: Double?, clock: Clock = .processor, repetitions: Int = 1,
        countsInstructions: Bool = false, subject: Side, reference: Side,
        counts: @escaping () throws -> [Count] = { [] },
        facts: @escaping () throws -> [String] = { [] }
    ) {
        self.name = name
        self.summary = summary
        self.goal = goal
        self.clock = clock
        self.repetitions = repetitions
        self.countsInstructions = countsInstructions
        self.subject = subject
        self.reference = reference
        self.counts = counts
        self.facts = facts
    }
}

/// Something that both sides were seen to do a number of times: the same in every round, so no clock is needed.
public struct Count {
    /// What was counted: `syncs`, `bytes`.
    public let unit: String
    /// How often the subject did it in one round.
    public let subject: Int
    /// How often the reference did it in one round.
    public let reference: Int
    /// The most that subject over reference may be; `nil` when the figure is for information only.
    public let goal: Double?

    /// All as given; nothing is checked.
    public init(unit: String, subject: Int, reference: Int, goal: Double? = nil) {
        self.unit = unit
        self.subject = subject
        self.reference = reference
        self.goal = goal
    }
}

/// One of the two sides of a benchmark.
public struct Side {
    /// For example `swift` or `c`.
    public let label: String
    /// The operations of one run.
    public let operations: Int
    /// Brings the side into its first state; not timed.
    public let prepare: () throws -> Void
    /// Does that many operations and answers a sum of the results, equal on both sides.
    public let run: (_ operations: Int) throws -> UInt64
    /// A digest of what a run has left behind and of how requests are answered that are refused, equal on both sides;
    /// not timed, asked for once.
    public let digest: () throws -> UInt64

    /// All as given; `operations` is at least 1. Nothing is run.
    public init(
        label: String, operations: Int, prepare: @escaping () throws -> Void = {},
        run: @escaping (_ operations: Int) throws -> UInt64, digest: @escaping () throws -> UInt64 = { 0 }
    ) {
        self.label = label
        self.operations = operations
        self.prepare = prepare
        self.run = run
        self.digest = digest
    }
}

/// The one function under which everything that is measured happens, so that an instruction counter can be switched on
/// and off by its name.
@inline(never)
public func measuredSection(_ side: Side, operations: Int) throws -> UInt64 { try side.run(operations) }
