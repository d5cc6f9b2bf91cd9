import Migrations
import SQLite

/// Brings an empty database to the current version.
enum MigrationRunner {
    /// Runs every migration and states application and version in the header, all in the caller's transaction: a schema
    /// without the rows that say what the file is must never be durable by itself.
    static func run(on connection: borrowing Connection) throws(StoreError) {
        precondition(connection.isInTransaction(), "the caller begins and commits")
        do {
            for migration in Migrations.all {
                try connection.execute(migration.sql)
                try connection.execute("PRAGMA user_version = \(migration.version)")
            }
            try connection.execute("PRAGMA application_id = \(Migrations.applicationID)")
        } catch { throw StoreError(error) }
    }
}
