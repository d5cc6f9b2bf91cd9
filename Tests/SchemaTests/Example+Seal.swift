import SQLite

@testable import Store

extension Example {
    func verifyManifestSum() throws {
        try expectNames(fields.dropLast(2).map { _ in "checksum" } + ["row_count", "checksum_sum"])
        var entry = Manifest.Entry()
        for field in fields.dropLast(2) {
            guard field.values.count == 1, case .integer(let checksum) = field.values[0] else {
                throw Mismatch("a checksum is one number")
            }
            entry.add(UInt64(bitPattern: checksum))
        }
        try expect(entry.rowCount, try word("row_count"), "rows")
        try expect(entry.checksumSum, try word("checksum_sum"), "sum")
        try expectBytes(withUnsafeBytes(of: entry.checksumSum.bigEndian) { Array($0) })
    }

    /// The manifest that the fields of a root digest tell.
    func manifest() throws(Mismatch) -> Manifest {
        try expectNames(
            ["version", "table_count", "seal.generation", "seal.time_nanoseconds", "seal.nonce"]
                + RecordTable.manifested.map(\.name) + ["seal.root"])
        var manifest = Manifest()
        for (table, field) in zip(RecordTable.manifested, fields.dropFirst(5)) {
            guard field.values.count == 2, case .integer(let rows) = field.values[0],
                case .integer(let sum) = field.values[1]
            else { throw Mismatch("an entry is rows and sum") }
            manifest[table] = Manifest.Entry(rowCount: UInt64(bitPattern: rows), checksumSum: UInt64(bitPattern: sum))
        }
        return manifest
    }

    func verifyRootDigest() throws {
        let manifest = try manifest()
        var nonce: HandoverNonce?
        switch try value("seal.nonce") {
        case .null: nonce = nil
        case .blob(let bytes):
            guard let found = HandoverNonce(bytes: bytes) else { throw Mismatch("the nonce has not 16 bytes") }
            nonce = found
        default: throw Mismatch("the nonce is no blob")
        }
        try expect(RecordTable.manifested.count, try number("table_count"), "tables")
        let version: UInt32 = try number("version")
        let (generation, time) = (try word("seal.generation"), try word("seal.time_nanoseconds"))
        try expectBytes(
            manifest.rootInput(version: version, generation: generation, timeNanoseconds: time, nonce: nonce))
        try expect(
            manifest.root(version: version, generation: generation, timeNanoseconds: time, nonce: nonce),
            RootDigest(try word("seal.root")), "root")
    }

    func verifyExpectedSeal() throws {
        try expectNames(["generation", "root"])
        let expected = ExpectedSeal(generation: try word("generation"), root: RootDigest(try word("root")))
        try expect(ExpectedSeal(String(decoding: bytes, as: UTF8.self)), expected, "seal")
        try expectBytes(Array(expected.description.utf8))
    }

    func verifyNonce() throws {
        try expectNames(["high", "low"])
        let nonce = HandoverNonce(high: try word("high"), low: try word("low"))
        try expect(HandoverNonce(bytes: bytes), nonce, "nonce")
        try expectBytes(nonce.bytes)
    }
}
