import CSQLite
import Glibc

/// What SQL may do on a connection that only reads: nothing but `SELECT`, functions without effects, and pragmas that
/// describe the schema.
final class ReadingPolicy {
    /// Functions that may be called.
    let functions: Set<String>
    /// What was refused last, in words.
    var refusal: String?

    /// Pragmas that only say what is there, with their argument.
    static let describing: Set<String> = [
        "table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo", "foreign_key_list",
        "foreign_key_check", "integrity_check", "quick_check", "function_list", "module_list", "pragma_list",
        "collation_list", "database_list", "compile_options",
    ]
    /// Pragmas that say a number when they have no argument, and set it when they have one.
    static let numbers: Set<String> = [
        "application_id", "user_version", "schema_version", "page_count", "page_size", "freelist_count", "encoding",
        "data_version",
    ]

    init(functions: Set<String>) { self.functions = functions }

    /// SQLite's question about one action, answered.
    func answer(_ action: Int32, _ first: UnsafePointer<CChar>?, _ second: UnsafePointer<CChar>?) -> Int32 {
        switch action {
        case SQLITE_SELECT, SQLITE_READ, SQLITE_RECURSIVE: return SQLITE_OK
        case SQLITE_FUNCTION:
            let name = Self.text(second).lowercased()
            return functions.contains(name) ? SQLITE_OK : refuse("the function \(name)")
        case SQLITE_PRAGMA:
            let name = Self.text(first).lowercased()
            let isKnown = Self.describing.contains(name) || Self.numbers.contains(name) && second == nil
            return isKnown ? SQLITE_OK : refuse("PRAGMA \(name)")
        case SQLITE_ATTACH: return refuse("ATTACH")
        case SQLITE_DETACH: return refuse("DETACH")
        case SQLITE_TRANSACTION, SQLITE_SAVEPOINT: return refuse("a transaction")
        case SQLITE_INSERT, SQLITE_UPDATE, SQLITE_DELETE: return refuse("a change of \(Self.text(first))")
        default: return refuse("a statement that is no SELECT")
        }
    }

    private func refuse(_ what: String) -> Int32 {
        if refusal == nil { refusal = what }
        return SQLITE_DENY
    }

    private static func text(_ pointer: UnsafePointer<CChar>?) -> String { pointer.map { String(cString: $0) } ?? "" }
}

extension Connection {
    /// Runs `body` while SQL on this connection can only read. Sorting and temporary tables stay in memory.
    ///
    /// What SQLite refuses meanwhile has an error of code `SQLITE_AUTH` (23) whose message names it.
    public borrowing func reading<R: ~Copyable>(_ body: () throws(SQLiteError) -> R) throws(SQLiteError) -> R {
        try execute("PRAGMA temp_store = MEMORY")
        let policy = ReadingPolicy(functions: try harmlessFunctions())
        // These declare themselves as CREATE TABLE when they are first named, which is refused below.
        let made = ["json_each", "json_tree", "dbstat"] + ReadingPolicy.describing.map { "pragma_\($0)" }
        for name in made { _ = try? prepare("SELECT 1 FROM \(name)") }
        sqlite3_set_authorizer(
            handle,
            { context, action, first, second, _, _ in
                guard let context else { return SQLITE_DENY }
                return Unmanaged<ReadingPolicy>.fromOpaque(context).takeUnretainedValue().answer(action, first, second)
            }, Unmanaged.passUnretained(policy).toOpaque())
        defer { withExtendedLifetime(policy) { _ = sqlite3_set_authorizer(handle, nil, nil) } }
        do { return try body() } catch {
            guard error.code == SQLITE_AUTH || error.code == SQLITE_ERROR, let refusal = policy.refusal else {
                throw error
            }
            throw SQLiteError(extendedCode: SQLITE_AUTH, message: "\(refusal) is not allowed: this only reads")
        }
    }

    /// Functions that have no effect but their result. SQLite's JSON functions do not say so of themselves.
    private borrowing func harmlessFunctions() throws(SQLiteError) -> Set<String> {
        let statement = try prepare("SELECT DISTINCT name, flags FROM pragma_function_list")
        var names: Set<String> = []
        while try statement.step() {
            let name = statement.text(0) ?? ""
            let flags = Int32(truncatingIfNeeded: statement.integer(1))
            if flags & SQLITE_DIRECTONLY != 0 { continue }
            if flags & SQLITE_INNOCUOUS != 0 || name.hasPrefix("json") || name.hasPrefix("->") { names.insert(name) }
        }
        // Operators that are functions inside.
        return names.union(["like", "glob"])
    }

    /// Compiles `sql`, which must be exactly one statement that changes nothing.
    public borrowing func prepareOne(_ sql: String) throws(SQLiteError) -> Statement {
        var statement: OpaquePointer?
        var isSecond = false
        let code = sql.withCString { text -> Int32 in
            var rest: UnsafePointer<CChar>? = text
            while let start = rest, start.pointee != 0 {
                var compiled: OpaquePointer?
                let code = sqlite3_prepare_v2(handle, start, -1, &compiled, &rest)
                if code != SQLITE_OK || (compiled != nil && statement != nil) {
                    isSecond = statement != nil
                    sqlite3_finalize(compiled)
                    return code
                }
                statement = compiled ?? statement
            }
            return SQLITE_OK
        }
        guard let statement else {
            guard code == SQLITE_OK else { throw SQLiteError(code: code, connection: handle) }
            throw SQLiteError(extendedCode: SQLITE_MISUSE, message: "there is no statement in the text")
        }
        let one = Statement(handle: statement)
        if isSecond { throw SQLiteError(extendedCode: SQLITE_MISUSE, message: "more than one statement") }
        guard sqlite3_stmt_readonly(statement) != 0 else {
            throw SQLiteError(
                extendedCode: SQLITE_AUTH, message: "a statement that writes is not allowed: this only reads")
        }
        return one
    }

    /// Lets SQLite of this whole process allocate at most `bytes` more than it has now, while `body` runs. Of several at a
    /// time the highest limit counts.
    public static func limitingMemory<R: ~Copyable>(
        to bytes: Int64, _ body: () throws(SQLiteError) -> R
    ) throws(SQLiteError) -> R {
        MemoryLimit.enter(bytes)
        defer { MemoryLimit.leave() }
        return try body()
    }

    /// The bytes of a database that ``deserialize(readOnly:count:)`` has taken, where they lie; `nil` for another one.
    public borrowing func withDeserialized<R>(_ body: (UnsafeRawBufferPointer) throws -> R) rethrows -> R? {
        var count: sqlite3_int64 = 0
        guard let bytes = sqlite3_serialize(handle, "main", &count, UInt32(SQLITE_SERIALIZE_NOCOPY)) else { return nil }
        return try body(UnsafeRawBufferPointer(start: bytes, count: Int(count)))
    }

    /// `name` as SQL has to write it: in quotes where it is a keyword that cannot be a name, too.
    public borrowing func quotedIfNeeded(_ name: String) -> String {
        let isKeyword = name.withCString { sqlite3_keyword_check($0, Int32(strlen($0))) != 0 }
        guard isKeyword, (try? prepare("WITH t(\(name)) AS (SELECT 1) SELECT t.\(name), \(name) FROM t")) == nil else {
            return name
        }
        return "\"\(name)\""
    }
}
