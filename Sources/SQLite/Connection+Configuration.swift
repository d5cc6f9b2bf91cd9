import CSQLite

/// Switches of one connection (`sqlite3_db_config`).
public enum ConnectionFlag: Sendable {
    /// No way for SQL to damage the file: no `writable_schema`, no shadow tables.
    case defensive
    /// Functions and virtual tables that are not marked harmless may be used by the schema.
    case trustedSchema
    case triggers
    case views
    /// `"text"` is a string when no column has that name.
    case doubleQuotedStringsInSchema
    case doubleQuotedStringsInStatements
    case loadExtension

    var option: Int32 {
        switch self {
        case .defensive: SQLITE_DBCONFIG_DEFENSIVE
        case .trustedSchema: SQLITE_DBCONFIG_TRUSTED_SCHEMA
        case .triggers: SQLITE_DBCONFIG_ENABLE_TRIGGER
        case .views: SQLITE_DBCONFIG_ENABLE_VIEW
        case .doubleQuotedStringsInSchema: SQLITE_DBCONFIG_DQS_DDL
        case .doubleQuotedStringsInStatements: SQLITE_DBCONFIG_DQS_DML
        case .loadExtension: SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION
        }
    }
}

/// Upper bounds of one connection (`sqlite3_limit`).
public enum ConnectionLimit: Sendable {
    /// Bytes of one value or row.
    case valueBytes
    case sqlBytes
    case columns
    case expressionDepth
    case compoundSelects
    case instructions
    case functionArguments
    case attachedDatabases
    case patternBytes
    case parameters
    case triggerDepth
    case workerThreads

    var identifier: Int32 {
        switch self {
        case .valueBytes: SQLITE_LIMIT_LENGTH
        case .sqlBytes: SQLITE_LIMIT_SQL_LENGTH
        case .columns: SQLITE_LIMIT_COLUMN
        case .expressionDepth: SQLITE_LIMIT_EXPR_DEPTH
        case .compoundSelects: SQLITE_LIMIT_COMPOUND_SELECT
        case .instructions: SQLITE_LIMIT_VDBE_OP
        case .functionArguments: SQLITE_LIMIT_FUNCTION_ARG
        case .attachedDatabases: SQLITE_LIMIT_ATTACHED
        case .patternBytes: SQLITE_LIMIT_LIKE_PATTERN_LENGTH
        case .parameters: SQLITE_LIMIT_VARIABLE_NUMBER
        case .triggerDepth: SQLITE_LIMIT_TRIGGER_DEPTH
        case .workerThreads: SQLITE_LIMIT_WORKER_THREADS
        }
    }
}

extension Connection {
    /// Sets `flag`; fails when SQLite did not take it.
    public borrowing func set(_ flag: ConnectionFlag, to value: Bool) throws(SQLiteError) {
        var result: Int32 = -1
        let code = domstore_sqlite3_db_config_flag(handle, flag.option, value ? 1 : 0, &result)
        guard code == SQLITE_OK, (result == 1) == value else {
            throw SQLiteError(
                extendedCode: code == SQLITE_OK ? SQLITE_MISUSE : code, message: "cannot set \(flag) to \(value)")
        }
    }

    /// Lowers `limit` to `value`; SQLite keeps its own hard maximum.
    public borrowing func limit(_ limit: ConnectionLimit, to value: Int32) {
        _ = sqlite3_limit(handle, limit.identifier, value)
    }
}
