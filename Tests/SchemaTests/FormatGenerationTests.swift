import SQLite
import Snapshot
import Testing

@testable import Store

@Suite("The generation that the examples of FORMAT.md are")
struct FormatGenerationTests {
    let document = FormatDocument.shared

    /// A file with the rows of the document, made by SQL alone. The manifest is that of the root digest's example, but for
    /// the rows that have examples of their own.
    private func write(to path: String) throws {
        let connection = try SchemaShape.migrated(path: path)
        try connection.execute("PRAGMA foreign_keys = ON; BEGIN")
        for table in RecordTable.allCases {
            for example in document.rows(table.name) {
                try ExampleRows.insert(try example.rowValues(), into: table, connection)
            }
        }
        let digest = try #require(document.examples(.rootDigest).first)
        let manifest = try digest.manifest()
        let told = try ExampleRows.all(of: .manifest, connection).map { $0[0] }
        let writer = try TableWriter(.manifest, connection)
        for table in RecordTable.manifested where !told.contains(.text(table.name)) {
            try writer.write([ManifestRow(table: table, entry: manifest[table])])
        }
        try connection.execute("COMMIT")
    }

    @Test("The rows are a sealed generation without a defect, and written anew they are the same rows, sums and root")
    func generation() throws {
        let folder = ScratchFolder()
        let (stated, written) = (folder["stated"], folder["written"])
        try write(to: stated)
        let reader = try GenerationReader(path: stated)
        #expect(reader.defects() == [])
        let sealed = reader.seal
        let seal = try #require(sealed)
        var writer = try GenerationWriter(
            creating: written, number: reader.header.number, origin: reader.header.origin,
            parent: reader.header.parent)
        let receipt = try writer.seal(reader.snapshot(), nonce: seal.nonce, events: reader.events())
        try writer.release()
        #expect(receipt == seal.receipt)
        let first = try Connection(path: stated, flags: [.readOnly])
        let second = try Connection(path: written, flags: [.readOnly])
        for table in RecordTable.allCases {
            #expect(
                try ExampleRows.all(of: table, first) == ExampleRows.all(of: table, second), "\(table.name)")
        }
    }

    @Test("The header is that of the same generation as this program writes it, but for SQLite's version")
    func header() throws {
        let folder = ScratchFolder()
        let (stated, written) = (folder["stated"], folder["written"])
        try write(to: stated)
        let reader = try GenerationReader(path: stated)
        var writer = try GenerationWriter(
            creating: written, number: reader.header.number, origin: reader.header.origin,
            parent: reader.header.parent)
        _ = try writer.seal(reader.snapshot(), nonce: reader.seal?.nonce, events: reader.events())
        try writer.release()
        let example = try #require(document.examples(.header).first)
        #expect(Checkout.bytes(at: written).prefix(96).elementsEqual(example.bytes.prefix(96)))
    }

    @Test("The smaller examples are parts of that generation")
    func parts() throws {
        func blob(_ table: String, _ column: String) throws -> [UInt8] {
            let example = try #require(document.rows(table).first)
            guard case .blob(let bytes) = try example.value(column) else { return [] }
            return bytes
        }
        let areas = try blob("area_chunk", "records")
        for example in document.examples(.areaRecord) { #expect(areas.firstRange(of: example.bytes) != nil) }
        let directory = try blob("table_chunk", "directory")
        for example in document.examples(.directoryRecord) { #expect(directory.firstRange(of: example.bytes) != nil) }
        #expect(try blob("seal", "nonce") == document.examples(.nonce).first?.bytes)
        let digest = try #require(document.examples(.rootDigest).first)
        let seal = try #require(document.examples(.expectedSeal).first)
        #expect(try digest.word("seal.root") == seal.word("root"))
        #expect(try digest.word("seal.generation") == seal.word("generation"))
        let sum = try #require(document.examples(.manifestSum).first)
        #expect(try digest.manifest()[.domain].checksumSum == sum.word("checksum_sum"))
        let event = try #require(document.rows("event").first)
        #expect(
            try Array(event.text("arguments").utf8) == document.examples(.eventArguments).first?.bytes)
        let states = try document.rows("engine_state").map { try $0.value("bytes") }
        // Its engine had no devices, and recorded no row of them.
        let words = try document.examples(.engineState).filter { try $0.text("name") != "devices" }
        #expect(states == words.map { .blob($0.bytes) })
    }
}
