/// One step of the format: what brings a file of version `version - 1` to `version`.
public struct Migration: Sendable {
    /// The `user_version` after it, from 1.
    public let version: UInt32
    /// SQL statements, embedded from the file of the same number.
    public let sql: String
}

/// Every migration, in order. They only go forward; a file's schema is the result of all of them in one transaction, so
/// that it is unique per version.
public enum Migrations {
    /// SQLite's `application_id` of a generation file: `dmst` in ASCII.
    public static let applicationID: UInt32 = 0x646d_7374

    /// Ascending by version from 1 on, without a gap.
    public static let all: [Migration] = [
        Migration(version: 1, sql: text(PackageResources._001_initial_sql))
    ]

    /// The version that this program writes.
    public static var current: UInt32 { UInt32(all.count) }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
