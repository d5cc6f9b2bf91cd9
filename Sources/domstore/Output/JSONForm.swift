/// JSON: an array with one object a line, or objects alone (JSON Lines).
struct JSONForm: RecordForm {
    let columns: [String]
    let lines: Bool
    private var count = 0

    init(columns: [String], lines: Bool) {
        self.columns = columns
        self.lines = lines
    }

    mutating func row(_ cells: [Cell], to sink: OutputSink) throws(OutputError) {
        let object = JSONText.object(zip(columns, cells))
        try sink.write(lines ? object + "\n" : (count == 0 ? "[\n" : ",\n") + object)
        count += 1
    }

    mutating func finish(to sink: OutputSink) throws(OutputError) {
        if !lines { try sink.write(count == 0 ? "[]\n" : "\n]\n") }
    }
}
