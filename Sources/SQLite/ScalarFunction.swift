import CSQLite

/// A function of SQL that a program makes. The same arguments must always give the same value, and nothing else may
/// happen.
public struct ScalarFunction: Sendable {
    /// As SQL names it.
    public var name: String
    /// How many arguments it takes.
    public var argumentCount: Int
    /// What it answers.
    public var body: @Sendable ([SQLValue]) -> SQLValue

    /// As given; nothing is checked.
    public init(name: String, argumentCount: Int, body: @escaping @Sendable ([SQLValue]) -> SQLValue) {
        self.name = name
        self.argumentCount = argumentCount
        self.body = body
    }
}

/// A function behind the pointer that SQLite keeps of it.
private final class ScalarFunctionBox {
    let function: ScalarFunction
    init(_ function: ScalarFunction) { self.function = function }
}

extension Connection {
    /// Adds a function that SQL of this connection can call from now on.
    public borrowing func add(_ function: ScalarFunction) throws(SQLiteError) {
        let box = Unmanaged.passRetained(ScalarFunctionBox(function))
        // SQLite lets go of it when the connection ends, and when this fails.
        let code = sqlite3_create_function_v2(
            handle, function.name, Int32(function.argumentCount), SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_INNOCUOUS,
            box.toOpaque(),
            { context, count, arguments in
                guard let data = sqlite3_user_data(context) else { return }
                let function = Unmanaged<ScalarFunctionBox>.fromOpaque(data).takeUnretainedValue().function
                let values = (0..<Int(count)).map { SQLValue(argument: arguments?[$0]) }
                function.body(values).answer(to: context)
            }, nil, nil, { if let data = $0 { Unmanaged<ScalarFunctionBox>.fromOpaque(data).release() } })
        guard code == SQLITE_OK else { throw SQLiteError(code: code, connection: handle) }
    }
}

extension SQLValue {
    /// A value that SQLite hands to a function or a table.
    init(argument value: OpaquePointer?) {
        guard let value else {
            self = .null
            return
        }
        switch sqlite3_value_type(value) {
        case SQLITE_INTEGER: self = .integer(sqlite3_value_int64(value))
        case SQLITE_FLOAT: self = .real(sqlite3_value_double(value))
        case SQLITE_TEXT:
            let text = sqlite3_value_text(value)
            let count = Int(sqlite3_value_bytes(value))
            self = .text(
                String(decoding: UnsafeBufferPointer(start: text, count: text == nil ? 0 : count), as: UTF8.self))
        case SQLITE_BLOB:
            let bytes = sqlite3_value_blob(value)
            let count = Int(sqlite3_value_bytes(value))
            self = .blob([UInt8](UnsafeRawBufferPointer(start: bytes, count: bytes == nil ? 0 : count)))
        default: self = .null
        }
    }

    /// Gives the value to SQLite as the result of `context`.
    func answer(to context: OpaquePointer?) {
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        switch self {
        case .null: sqlite3_result_null(context)
        case .integer(let number): sqlite3_result_int64(context, number)
        case .real(let number): sqlite3_result_double(context, number)
        case .text(var text):
            text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) {
                    sqlite3_result_text(context, $0.baseAddress ?? sqlite3_errstr(0), Int32($0.count), transient)
                }
            }
        case .blob(let bytes):
            if bytes.isEmpty { return sqlite3_result_zeroblob(context, 0) }
            bytes.withUnsafeBytes { sqlite3_result_blob64(context, $0.baseAddress, UInt64($0.count), transient) }
        }
    }
}
