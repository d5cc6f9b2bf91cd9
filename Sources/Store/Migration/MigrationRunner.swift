import Migrations
import SQLite

/// Brings a database to a later version.
enum MigrationRunner {
    /// Makes an empty database one of the version that `migrations` end at and states application and version in the
    /// header, all in the caller's transaction: a schema without the rows that say what the file is must never be durable
    /// by itself.
    static func run(
        on connection: borrowing Connection, _ migrations: some BidirectionalCollection<Migration> = Migrations.all
    ) throws(StoreError) {
        precondition(connection.isInTransaction(), "the caller begins and commits")
        do {
            for sql in Migrations.schema(of: migrations) { try connection.execute(sql) }
            try connection.execute("PRAGMA user_version = \(migrations.last?.version ?? 0)")
            try connection.execute("PRAGMA application_id = \(Migrations.applicationID)")
        } catch { throw StoreError(error) }
    }

    /// Runs `migrations` on a database of the version before the first of them, in the caller's transaction. They may
    /// write `sqlite_schema`, which a defensive connection refuses.
    static func advance(
        _ connection: borrowing Connection, _ migrations: some Sequence<Migration>
    ) throws(StoreError) {
        precondition(connection.isInTransaction(), "the caller begins and commits")
        do {
            for migration in migrations {
                try connection.execute(migration.sql)
                try connection.execute("PRAGMA user_version = \(migration.version)")
            }
        } catch { throw StoreError(error) }
    }
}
