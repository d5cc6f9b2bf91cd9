import Snapshot

/// The row of table `generation`: what the file is.
struct GenerationRow: StoredRecord {
    static var table: RecordTable { .generation }

    var number: UInt64
    var origin: Snapshot.Origin
    var parent: ParentGeneration?

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(1 as Int64)
        try row.integer(number)
        try row.text(origin.rawValue)
        try row.integer(parent?.number)
        try row.word(parent?.root.rawValue)
        try row.integer(Int64(AreaChunk.recordBytes))
        try row.integer(Int64(PageChunk.directoryBytes))
    }

    init(number: UInt64, origin: Snapshot.Origin, parent: ParentGeneration?) {
        self.number = number
        self.origin = origin
        self.parent = parent
    }

    init(from row: RowReader) throws(RowDefect) {
        _ = try row.integer(1...1)
        number = UInt64(try row.integer(1...Int64.max))
        origin = try row.choice()
        let parentNumber = try row.optional { () throws(RowDefect) in UInt64(try row.integer(1...Int64.max)) }
        let parentRoot = try row.optional { () throws(RowDefect) in RootDigest(try row.word()) }
        switch (parentNumber, parentRoot) {
        case (nil, nil): parent = nil
        case (let number?, let root?): parent = ParentGeneration(number: number, root: root)
        default: throw row.defect("stands without the other half of the parent")
        }
        let area = Int64(AreaChunk.recordBytes)
        _ = try row.integer(area...area)
        let directory = Int64(PageChunk.directoryBytes)
        _ = try row.integer(directory...directory)
    }
}

/// The row of table `feature`.
struct FeatureRow: StoredRecord {
    static var table: RecordTable { .feature }

    var feature: Feature

    func write(to row: TableWriter) throws(StoreError) {
        try row.integer(feature.bit)
        try row.text(feature.name)
        try row.flag(feature.isRequired)
    }

    init(_ feature: Feature) { self.feature = feature }

    init(from row: RowReader) throws(RowDefect) {
        feature = Feature(bit: try row.integer(0...62), name: try row.text(), isRequired: try row.flag())
    }
}
