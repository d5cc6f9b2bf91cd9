import Migrations
import SQLite

/// Brings an empty database to the current version.
enum MigrationRunner {
    /// Runs every migration in one immediate transaction and states application and version in the header.
    static func run(on connection: borrowing Connection) throws(StoreError) {
        do {
            try connection.execute("BEGIN IMMEDIATE")
            for migration in Migrations.all {
                try connection.execute(migration.sql)
                try connection.execute("PRAGMA user_version = \(migration.version)")
            }
            try connection.execute("PRAGMA application_id = \(Migrations.applicationID)")
            try connection.execute("COMMIT")
        } catch { throw StoreError(error) }
    }
}
