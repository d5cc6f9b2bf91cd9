import SQLite

extension EditableStore {
    private static let words = [
        "", "x", "engine", "imported", "paging", "nested", "blocked", "identity", "session", "iommufd", "core", "vfio",
        "ram", "reserved", "msi", "direct", "memfd", "anonymous", "declared", "derived", "x86_64", "vtd-second-stage",
        "amd-v1", "intel-vtd", "amd-vi", "xxh64", "page-runs", "operation", "phase", "fault", "verdict", "revoke",
        "start", "a=b c=0x10", "generation=1", "domain", "table_chunk", "\u{0}", "é\u{301}",
    ]

    /// Changes rows as `input` says, to its end: a byte for table and kind, one for the row, one for the column, and what
    /// the kind takes. What SQLite refuses is left out.
    borrowing func edit(_ input: inout InputReader) {
        for _ in 0..<24 where !input.isAtEnd {
            let choice = input.byte()
            let table = base.tables[Int(input.byte()) % base.tables.count]
            let row = Int(input.byte())
            let column = Int(input.byte())
            try? edit(table, choice, row, table.columns[column % (table.columns.count - 1)], &input)
        }
    }

    private borrowing func edit(
        _ table: Table, _ choice: UInt8, _ row: Int, _ column: String, _ input: inout InputReader
    ) throws {
        switch choice % 10 {
        case 0: try set(table, row, column, .integer(Int64(bitPattern: input.number(bytes: 8))))
        case 1: try set(table, row, column, .integer(Int64(Int8(bitPattern: input.byte()))))
        case 2: try set(table, row, column, .integer(1 << Int64(input.byte() & 63)))
        case 3: try set(table, row, column, .text(Self.words[Int(input.byte()) % Self.words.count]))
        case 4: try set(table, row, column, .blob(bytes(&input, count: Int(input.byte()))))
        case 5: try set(table, row, column, .null)
        case 6: try change(table, row, column, &input)
        case 7: try remove(table, row)
        case 8: try double(table, row, column, Int64(input.byte()))
        default: try resize(table, row, column, to: input.short())
        }
    }

    private func bytes(_ input: inout InputReader, count: Int) -> [UInt8] { (0..<count).map { _ in input.byte() } }

    /// The row's place as a condition: by number among those of its table, around its end.
    private func place(_ table: Table, _ row: Int) -> String {
        let key = table.key.joined(separator: ", ")
        return """
            (\(key)) = (SELECT \(key) FROM \(table.name) ORDER BY \(key) LIMIT 1 \
            OFFSET \(row) % max(1, (SELECT count(*) FROM \(table.name))))
            """
    }

    private borrowing func set(_ table: Table, _ row: Int, _ column: String, _ value: SQLValue) throws {
        let update = try connection.prepare("UPDATE \(table.name) SET \(column) = ? WHERE \(place(table, row))")
        try update.bind(1, value)
        try update.run()
    }

    private borrowing func value(_ table: Table, _ row: Int, _ column: String) throws -> SQLValue {
        let query = try connection.prepare("SELECT \(column) FROM \(table.name) WHERE \(place(table, row))")
        return try query.step() ? query.value(0) : .null
    }

    /// Some bytes of a blob or text: a count of changes, then where and what by exclusive or.
    private borrowing func change(
        _ table: Table, _ row: Int, _ column: String, _ input: inout InputReader
    ) throws {
        let count = Int(input.byte() & 7) + 1
        var (bytes, isText): ([UInt8], Bool) =
            switch try value(table, row, column) {
            case .blob(let bytes): (bytes, false)
            case .text(let text): (Array(text.utf8), true)
            default: ([], false)
            }
        for _ in 0..<count {
            let (offset, mask) = (input.short(), input.byte())
            if !bytes.isEmpty { bytes[offset % bytes.count] ^= mask }
        }
        guard isText else { return try set(table, row, column, .blob(bytes)) }
        // SQLite takes any bytes for text that are said to be text.
        let update = try connection.prepare(
            "UPDATE \(table.name) SET \(column) = CAST(? AS TEXT) WHERE \(place(table, row))")
        try update.bind(1, .blob(bytes))
        try update.run()
    }

    private borrowing func remove(_ table: Table, _ row: Int) throws {
        try connection.execute("DELETE FROM \(table.name) WHERE \(place(table, row))")
    }

    /// A copy of the row, with one column more by `step`.
    private borrowing func double(_ table: Table, _ row: Int, _ column: String, _ step: Int64) throws {
        let key = table.key[table.key.count - 1]
        let values = table.columns.map { $0 == key || $0 == column ? "\($0) + \(step)" : $0 }.joined(separator: ", ")
        try connection.execute(
            "INSERT INTO \(table.name) SELECT \(values) FROM \(table.name) WHERE \(place(table, row))")
    }

    /// A shorter or longer blob: what is more repeats what was there.
    private borrowing func resize(_ table: Table, _ row: Int, _ column: String, to count: Int) throws {
        guard case .blob(let bytes) = try value(table, row, column), !bytes.isEmpty else { return }
        try set(table, row, column, .blob((0..<count).map { bytes[$0 % bytes.count] }))
    }
}
