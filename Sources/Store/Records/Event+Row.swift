import IOMMUModel

extension Event: StoredRecord {
    static var table: RecordTable { .event }

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(sequence)
        try row.integer(timeNanoseconds)
        try row.text(kind.rawValue)
        try row.text(name)
        for argument in arguments where !Self.isPlain(argument) {
            throw row.unrepresentable("argument '\(argument.name)' has white space or '=' where it must not")
        }
        try row.text(argumentText)
        try row.integer(errno?.rawValue)
    }

    init(from row: RowReader) throws(RowDefect) {
        let sequence = UInt64(try row.integer(1...Int64.max))
        let time: UInt64 = try row.integer()
        let kind: Kind = try row.choice()
        let name = try row.text()
        guard let arguments = Event.arguments(fromText: try row.text()) else {
            throw row.defect("has a part without '='")
        }
        let number = try row.optional { () throws(RowDefect) -> Int32 in try row.integer() }
        var errno: Errno?
        if let number {
            errno = Errno(rawValue: number)
            guard errno != nil else { throw row.defect("is \(number), which is no known errno") }
        }
        self.init(
            sequence: sequence, timeNanoseconds: time, kind: kind, name: name, arguments: arguments, errno: errno)
    }

    /// True when the argument survives the way through ``argumentText``.
    private static func isPlain(_ argument: Argument) -> Bool {
        !argument.name.isEmpty && !argument.name.contains("=") && !argument.name.contains(" ")
            && !argument.value.contains(" ")
    }
}
