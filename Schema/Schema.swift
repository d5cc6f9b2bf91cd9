/// The commented schema of the current version, for readers. What a file contains comes from `Migrations`; a test proves
/// that both are equal.
public enum CanonicalSchema {
    /// `schema.sql` with its comments, embedded at build time.
    public static var sql: String { String(decoding: PackageResources.schema_sql, as: UTF8.self) }
}
