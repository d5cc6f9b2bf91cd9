import SQLite

@testable import Store

/// A schema as a list of facts, one line each: what SQLite itself says of it, and the texts that SQLite does not take apart.
enum SchemaShape {
    /// Every fact of the schema of `connection`.
    static func facts(of connection: borrowing Connection) throws -> Set<String> {
        var result: Set<String> = []
        for object in try KnownSchema.objects(of: connection) {
            let name = "\(object.type) \(object.name)"
            result.insert("\(name) on \(object.table)")
            guard object.type == "table" || object.type == "view" else { continue }
            for row in try rows("pragma_table_list", object.name, connection, skipping: ["schema"]) {
                result.insert("\(name) list \(row)")
            }
            for row in try rows("pragma_table_xinfo", object.name, connection) {
                result.insert("\(name) column \(row)")
            }
            for row in try rows("pragma_foreign_key_list", object.name, connection) {
                result.insert("\(name) foreign key \(row)")
            }
            for row in try rows("pragma_index_list", object.name, connection) { result.insert("\(name) index \(row)") }
            for index in try texts("SELECT name FROM pragma_index_list('\(object.name)')", connection) {
                for row in try rows("pragma_index_xinfo", index, connection) {
                    result.insert("\(name) index \(index) \(row)")
                }
            }
            let sql = object.sql ?? ""
            if object.type == "view" {
                result.insert("\(name) text \(SQLText.tokens(sql).joined(separator: " "))")
            } else {
                for definition in SQLText.definitions(ofTable: sql) {
                    guard let check = SQLText.check(in: definition) else { continue }
                    result.insert("\(name) \(definition[0]) check \(check.joined(separator: " "))")
                }
            }
        }
        return result
    }

    /// A new database that `sql` has been run in.
    static func database(_ sql: String) throws -> Connection {
        let connection = try Connection(path: ":memory:", flags: [.readWrite, .memory, .noMutex])
        try connection.execute(sql)
        return connection
    }

    /// A new database of the current version, as a fresh file is made.
    static func migrated(path: String = ":memory:") throws -> Connection {
        let connection = try Connection(path: path, flags: [.readWrite, .create, .noMutex])
        try connection.execute("PRAGMA page_size = 4096; BEGIN IMMEDIATE")
        try MigrationRunner.run(on: connection)
        try connection.execute("COMMIT")
        return connection
    }

    /// The rows of a table-valued pragma as texts, `name=value` for each column.
    private static func rows(
        _ pragma: String, _ argument: String, _ connection: borrowing Connection, skipping: Set<String> = []
    ) throws -> [String] {
        let statement = try connection.prepare("SELECT * FROM \(pragma)('\(argument)')")
        var result: [String] = []
        while try statement.step() {
            let cells = (0..<statement.columnCount).filter { !skipping.contains(statement.columnName($0)) }
                .map { "\(statement.columnName($0))=\(SQLLiteral.text(statement.value($0)))" }
            result.append(cells.joined(separator: " "))
        }
        return result
    }

    private static func texts(_ sql: String, _ connection: borrowing Connection) throws -> [String] {
        let statement = try connection.prepare(sql)
        var result: [String] = []
        while try statement.step() { result.append(statement.text(0) ?? "") }
        return result
    }
}
