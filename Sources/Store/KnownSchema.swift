import Migrations
import SQLite

/// The objects that `sqlite_schema` of a file must list: those of its version, and nothing else.
struct KnownSchema: Sendable, Equatable {
    /// One row of `sqlite_schema` without its place in the file.
    struct Object: Hashable, Sendable {
        var type: String
        var name: String
        var table: String
        var sql: String?
    }

    /// By name.
    let objects: [String: Object]

    /// What a fresh database of the current version has. Found once per process: by reading the schema's text where that
    /// is enough, which is a good part of the time of a short command, else by running it.
    static let current: Result<KnownSchema, StoreError> = {
        if let read = KnownSchema(reading: Migrations.all) { return .success(read) }
        do throws(StoreError) { return .success(try KnownSchema(of: Migrations.all)) } catch { return .failure(error) }
    }()

    init(objects: [String: Object]) { self.objects = objects }

    /// What a fresh database has of the version that `migrations` end at, from the first one on.
    init(of migrations: some BidirectionalCollection<Migration>) throws(StoreError) {
        let connection = try store { () throws(SQLiteError) in
            let connection = try Connection(path: ":memory:", flags: [.readWrite, .memory, .noMutex])
            try connection.execute("BEGIN")
            return connection
        }
        try MigrationRunner.run(on: connection, migrations)
        var objects: [String: Object] = [:]
        for object in try Self.objects(of: connection) { objects[object.name] = object }
        self.init(objects: objects)
    }

    /// The same for a schema of nothing but `CREATE TABLE` and `CREATE VIEW`, whose text SQLite keeps as it is; `nil` for
    /// others. None of the tables may have an index of its own.
    init?(reading migrations: some Sequence<Migration>) {
        var objects: [String: Object] = [:]
        for text in Migrations.schema(of: migrations) {
            for statement in text.utf8.split(separator: UInt8(ascii: ";")) {
                let sql = statement.drop { $0 <= UInt8(ascii: " ") }
                if sql.isEmpty { continue }
                let words = sql.split(maxSplits: 3) { $0 <= UInt8(ascii: " ") }.map { String(Substring($0)) }
                guard words.count >= 3, words[0] == "CREATE", words[1] == "TABLE" || words[1] == "VIEW" else {
                    return nil
                }
                objects[words[2]] = Object(
                    type: words[1].lowercased(), name: words[2], table: words[2], sql: String(Substring(sql)))
            }
        }
        self.init(objects: objects)
    }

    static func objects(of connection: borrowing Connection) throws(StoreError) -> [Object] {
        do {
            let statement = try connection.prepare("SELECT type, name, tbl_name, sql FROM sqlite_schema")
            var objects: [Object] = []
            while try statement.step() {
                objects.append(
                    Object(
                        type: statement.text(0) ?? "", name: statement.text(1) ?? "", table: statement.text(2) ?? "",
                        sql: statement.text(3)))
            }
            return objects
        } catch { throw StoreError(error) }
    }

    /// Compares the schema of an opened file. A `sqlite_stat1` is let through: true when there is one.
    func check(_ connection: borrowing Connection) throws(StoreError) -> Bool {
        let found = try Self.objects(of: connection)
        var missing = objects
        var hasStatistics = false
        for object in found {
            if object.name == "sqlite_stat1", object.type == "table", object.sql == Self.statisticsSQL {
                hasStatistics = true
            } else if missing[object.name] == object {
                missing[object.name] = nil
            } else {
                throw .schemaDiffers(name: "\(object.type) \(object.name)")
            }
        }
        if let name = missing.keys.min() { throw .schemaDiffers(name: "\(name) is missing") }
        return hasStatistics
    }

    private static let statisticsSQL = "CREATE TABLE sqlite_stat1(tbl,idx,stat)"
}
