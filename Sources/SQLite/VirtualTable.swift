/// Rows that a program makes, as a table of SQL that stands beside those of the file; nothing of it is in the schema.
public struct VirtualTable: Sendable {
    /// One column.
    public struct Column: Sendable, Hashable {
        /// As SQL names it.
        public var name: String
        /// Its declared type; empty: any.
        public var type: String
        /// A value that a query asks it to be equal to is handed to ``VirtualRows/begin(_:)``, which may use it to make
        /// fewer rows.
        public var isKey: Bool

        /// As given; nothing is checked.
        public init(_ name: String, _ type: String, isKey: Bool = false) {
            self.name = name
            self.type = type
            self.isKey = isKey
        }
    }

    /// As SQL names it.
    public var name: String
    /// In the order in which `SELECT *` lists them; at most 63.
    public var columns: [Column]
    /// How many rows it has at about; the planner's guess.
    public var estimatedRows: Int64
    /// Makes one walk over its rows.
    public var rows: @Sendable (borrowing Preparer) -> any VirtualRows

    /// As given; nothing is checked.
    public init(
        name: String, columns: [Column], estimatedRows: Int64,
        rows: @escaping @Sendable (borrowing Preparer) -> any VirtualRows
    ) {
        self.name = name
        self.columns = columns
        self.estimatedRows = estimatedRows
        self.rows = rows
    }

    var declaration: String {
        "CREATE TABLE x(" + columns.map { "\"\($0.name)\" \($0.type)" }.joined(separator: ", ") + ")"
    }
}

/// One walk over the rows of a ``VirtualTable``. Used by one thread; ends with the statement that walks.
public protocol VirtualRows: AnyObject {
    /// Goes to the first row. `keys` has the value that each key column must equal, where the query says so, by the
    /// column's index; a row that does not is dropped by SQLite.
    func begin(_ keys: [Int: SQLValue]) throws(SQLiteError)
    /// Goes to the next row.
    func next() throws(SQLiteError)
    /// True behind the last row.
    var isAtEnd: Bool { get }
    /// The value of column `index` of the current row.
    func value(_ index: Int) -> SQLValue
}

/// Compiles statements on the connection that a virtual table belongs to. Never outlives it.
public struct Preparer: ~Copyable {
    let handle: OpaquePointer

    /// Compiles the first statement of `sql`, to be run many times.
    public borrowing func prepare(_ sql: String) throws(SQLiteError) -> Statement {
        try Connection.prepare(sql, on: handle, flags: 0)
    }

    /// A second one for the same connection, for rows that prepare when they begin.
    public borrowing func copy() -> Preparer { Preparer(handle: handle) }
}
