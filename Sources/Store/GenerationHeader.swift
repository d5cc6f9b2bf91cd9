import Snapshot

/// The generation an engine was restored from.
public struct ParentGeneration: Sendable, Hashable {
    /// From 1.
    public var number: UInt64
    /// The root digest of its seal.
    public var root: RootDigest
    /// Both as given; nothing is checked.
    public init(number: UInt64, root: RootDigest) {
        self.number = number
        self.root = root
    }
}

/// Something about the format beyond its version number. A reader refuses a required one that it does not know and goes
/// on past an optional one.
public struct Feature: Sendable, Hashable {
    /// 0 to 62.
    public var bit: Int64
    /// Belongs to the bit: another name under a known bit is another feature.
    public var name: String
    /// A reader that does not know it must refuse the file.
    public var isRequired: Bool

    /// All as given; nothing is checked.
    package init(bit: Int64, name: String, isRequired: Bool) {
        self.bit = bit
        self.name = name
        self.isRequired = isRequired
    }

    /// Table pages are stored as runs of words.
    public static let pageRuns = Feature(bit: 0, name: "page-runs", isRequired: true)

    /// What this program writes and knows.
    public static let known: [Feature] = [.pageRuns]
}

/// What was found beside the file under the name of its rollback journal.
public enum JournalState: String, Sendable, Hashable, CaseIterable {
    /// Nothing.
    case none
    /// Shorter than 8 bytes, or its first 8 bytes are zero: the last transaction ended, nothing is to be rolled back.
    case spent
    /// A transaction was cut off; it was rolled back in a copy, and the copy is what was read.
    case rolledBack = "rolled-back"
    /// The generation is sealed and the journal cannot be its own. Of a released file (read-only, every checksum good)
    /// it was not applied, not even in a copy.
    case stray
}

/// What a generation file says about itself.
public struct GenerationHeader: Sendable, Hashable {
    /// As it was opened.
    public var path: String
    /// Size of the file in bytes.
    public var byteCount: UInt64
    /// The 100 bytes at its beginning.
    public var database: DatabaseHeader
    /// Generation number, from 1.
    public var number: UInt64
    /// Of the snapshot in it.
    public var origin: Snapshot.Origin
    /// What the engine was restored from; `nil` when it was not restored, and for an import.
    public var parent: ParentGeneration?
    /// As recorded, known and unknown.
    public var features: [Feature]
    /// What was found beside the file when it was opened.
    public var journal: JournalState
    /// Somebody's `ANALYZE` left its table in the file: named, not fatal.
    public var hasStatistics: Bool

    /// The format version (`user_version`).
    public var formatVersion: UInt32 { database.userVersion }
}
