import IOMMUModel
import SQLite

extension GenerationReader {
    /// A table or view that a query can name.
    public struct Relation: Sendable, Hashable {
        /// What stands behind its rows.
        public enum Kind: String, Sendable, Hashable {
            /// A table of the file.
            case table
            /// A view of the file.
            case view
            /// Rows that this program makes from the file.
            case computed
        }

        /// As SQL names it.
        public var name: String
        /// What stands behind its rows.
        public var kind: Kind
        /// In the order of `SELECT *`, as SQL has to write them: a keyword has its quotes.
        public var columns: [String]
    }

    /// Answers one `SELECT` over the tables and views of the file, ``PageRows/tables`` and `tables`, with the functions
    /// `number(text)` and `address(number)` beside SQLite's.
    ///
    /// Nothing but reading is possible: no other statement, no function with an effect, no other database, no temporary
    /// file. The values are what the file says, damaged or not: ``defects()`` tells.
    ///
    /// - Parameters:
    ///   - tables: rows of the caller, beside those of the file.
    ///   - columns: told once, before the first row; no name twice.
    ///   - row: told each row as it is found; false ends the query.
    /// - Throws: ``StoreError/queryRefused(what:)`` for a text that is no such query, ``StoreError/queryLimit(what:)``.
    public borrowing func query(
        _ sql: String, limits: QueryLimits = QueryLimits(), tables: [VirtualTable] = [],
        columns: ([String]) -> Void = { _ in }, row: ([SQLValue]) -> Bool
    ) throws(StoreError) {
        let isOver = try reading(tables, limits) { () throws(SQLiteError) in
            let statement = try connection.prepareOne(sql)
            let count = statement.columnCount
            columns(Self.distinct((0..<count).map { statement.columnName($0) }))
            var rows = 0
            while try statement.step() {
                if rows == limits.rows { return true }
                rows += 1
                if !row((0..<count).map { statement.value($0) }) { break }
            }
            return false
        }
        if isOver { throw .queryLimit(what: "more than \(limits.rows) rows") }
    }

    /// What a query can name, sorted by kind and name, without SQLite's own tables.
    public borrowing func relations(and tables: [VirtualTable] = []) throws(StoreError) -> [Relation] {
        let schema = try KnownSchema.current.get()
        let made = PageRows.tables + tables
        let names = schema.objects.values.filter { $0.type == "table" || $0.type == "view" }
            .map { (name: $0.name, kind: $0.type == "view" ? Relation.Kind.view : .table) }
            .sorted { ($0.kind == .view ? 1 : 0, $0.name) < ($1.kind == .view ? 1 : 0, $1.name) }
        return try reading(tables, QueryLimits()) { () throws(SQLiteError) in
            var relations: [Relation] = []
            for (name, kind) in names + made.map({ ($0.name, .computed) }) {
                let statement = try connection.prepareOne("SELECT * FROM \"\(name)\"")
                let columns = (0..<statement.columnCount).map { connection.quotedIfNeeded(statement.columnName($0)) }
                relations.append(Relation(name: name, kind: kind, columns: columns))
            }
            return relations
        }
    }

    /// `number('0x…')`, as a 64-bit number for arithmetic, and `address(number)`, as the views write it. NULL for anything
    /// else.
    static let functions: [ScalarFunction] = [
        ScalarFunction(name: "number", argumentCount: 1) { values in
            guard case .text(let text)? = values.first, text.hasPrefix("0x"), (3...18).contains(text.utf8.count),
                let value = UInt64(text.dropFirst(2), radix: 16), !text.contains("+")
            else { return .null }
            return .integer(Int64(bitPattern: value))
        },
        ScalarFunction(name: "address", argumentCount: 1) { values in
            guard case .integer(let number)? = values.first else { return .null }
            return .text(hex(UInt64(bitPattern: number), digits: 16))
        },
    ]

    private borrowing func reading<R>(
        _ tables: [VirtualTable], _ limits: QueryLimits, _ body: () throws(SQLiteError) -> R
    ) throws(StoreError) -> R {
        defer { connection.setDeadline(secondsFromNow: Self.deadlineSeconds) }
        do throws(SQLiteError) {
            for function in Self.functions { try connection.add(function) }
            for table in PageRows.tables + tables { try connection.add(table) }
            return try connection.reading { () throws(SQLiteError) in
                connection.setDeadline(secondsFromNow: limits.seconds)
                return try Connection.limitingMemory(to: limits.bytes, body)
            }
        } catch {
            throw StoreError(query: error, limits)
        }
    }

    /// `names` without doubles: two columns of one name would be one key of an object.
    static func distinct(_ names: [String]) -> [String] {
        var taken: Set<String> = []
        return names.map { name in
            var candidate = name
            var number = 2
            while !taken.insert(candidate).inserted {
                candidate = "\(name)_\(number)"
                number += 1
            }
            return candidate
        }
    }
}

extension StoreError {
    /// What went wrong with a query, in its words.
    fileprivate init(query error: SQLiteError, _ limits: QueryLimits) {
        switch error.code {
        case 9: self = .queryLimit(what: "more than \(limits.seconds) seconds")
        case 7: self = .queryLimit(what: "more than \(limits.bytes >> 20) MiB of memory")
        case 18: self = .queryLimit(what: "a value or text of more than SQLite's limits here (\(error.message))")
        case 11, 26, 10: self = StoreError(error)
        default: self = .queryRefused(what: error.message)
        }
    }
}
