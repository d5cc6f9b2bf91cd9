/// One step of the format: what brings a file of version `version - 1` to `version`.
public struct Migration: Sendable {
    /// The `user_version` after it, from 1.
    public let version: UInt32
    /// SQL statements, embedded from the file of the same number.
    public let sql: String
    /// The whole schema of this version, which makes an empty database one of it at once: to the byte what this and all
    /// migrations before it make. `nil`: they are run instead.
    public let whole: String?
    /// The tables that it makes, with the numbers that go into the checksums of their rows: of records, never used before.
    public let tables: [String: UInt32]

    /// Ends a format version. Every table ends with the column `checksum`; rows that `sql` writes may hold any 8 bytes
    /// there: a migration of a file computes them anew.
    public init(version: UInt32, sql: String, whole: String? = nil, tables: [String: UInt32]) {
        self.version = version
        self.sql = sql
        self.whole = whole
        self.tables = tables
    }
}

/// Every migration, in order. They only go forward; a file's schema is the result of all of them in one transaction, so
/// that it is unique per version.
public enum Migrations {
    /// SQLite's `application_id` of a generation file: `dmst` in ASCII.
    public static let applicationID: UInt32 = 0x646d_7374

    /// Ascending by version from 1 on, without a gap.
    public static let all: [Migration] = [
        Migration(
            version: 1, sql: text(PackageResources._001_initial_sql),
            tables: [
                "generation": 1, "feature": 2, "unit": 3, "unit_register": 4, "memory_range": 5, "iommu_group": 6,
                "device": 7, "reserved_region": 8, "backing": 9, "session": 10, "ioas": 11, "domain": 12,
                "domain_unit": 13, "hwpt": 14, "attachment": 15, "engine_state": 16, "area_chunk": 17,
                "lookup_chunk": 18, "table_chunk": 19, "event": 20, "manifest": 21, "seal": 22,
            ]),
        // The rows stay: the tables take more, and check it quicker.
        Migration(
            version: 2, sql: text(PackageResources._002_choices_sql), whole: text(PackageResources._002_whole_sql),
            tables: [:]),
    ]

    /// The version that this program writes.
    public static var current: UInt32 { UInt32(all.count) }

    /// What makes an empty database one of the version that `migrations` end at, in order: the newest schema that is there
    /// as a whole, then the migrations after it.
    public static func schema(of migrations: some Sequence<Migration>) -> [String] {
        migrations.reduce(into: []) { texts, migration in
            if let whole = migration.whole { texts = [whole] } else { texts.append(migration.sql) }
        }
    }

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
}
