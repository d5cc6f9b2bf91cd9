import Digest
import Foundation
import SQLite
import Testing

@testable import Store

/// What the store does not do, so that it survives: switched on, each must make the suite's own check fail.
@Suite("Negative controls of the crash suites")
struct NegativeControlTests {
    /// A number in place of the name: it must fit in the name's room.
    static let modes: [(name: String, pragmas: [String: String])] = [
        ("synchronous=OFF", ["synchronous": "0"]),
        ("locking_mode=NORMAL, journal_mode=DELETE", ["locking_mode": "NORMAL", "journal_mode": "DELETE"]),
    ]

    @Test("Modes that lose what was told to have succeeded are found to lose it", arguments: 0..<2)
    func powerCuts(mode: Int) throws {
        let seed = CrashSizes.seed
        let (name, pragmas) = Self.modes[mode]
        var tally = Judge.Tally()
        for operation in [Operation.append, .seal, .precopy, .thaw] {
            let suite = try CrashSuite(operation, pragmas: pragmas)
            let found = try suite.powerCuts(CrashSizes.current.powerCuts, seed: seed)
            #expect(found.broken > 0, "\(operation)")
            tally.add(found)
        }
        print(
            """
            negative control \(name): \(tally.broken) of \(tally.total) power cuts after a success found to lose it, \
            DOMSTORE_TEST_SEED=\(seed)
            """)
    }

    @Test("synchronous=NORMAL is found by torn and reordered sectors")
    func normal() throws {
        let seed = CrashSizes.seed
        // Rare: the journal's header must have reached the disk, and one of its sectors not.
        let samples = max(CrashSizes.current.torn, 2_000)
        let tally = try CrashSuite(.append, pragmas: ["synchronous": "1"]).torn(samples, seed: seed).samples
        print(
            """
            negative control synchronous=NORMAL: \(tally.broken) of \(tally.total) torn samples found to be neither \
            old nor new, DOMSTORE_TEST_SEED=\(seed)
            """)
        #expect(tally.broken > 0)
    }

    @Test("Without checksums, flipped bytes are taken for content")
    func checksums() throws {
        let seed = CrashSizes.seed
        var random = SplitMix64(seed: seed)
        let folder = try Folder(inMemory: true)
        let snapshot = Operation.snapshot(3, size: 12)
        _ = try FreshGeneration.write(snapshot, to: folder["original"], events: (1..<20).map { Operation.event($0) })
        let seal = try #require(try GenerationReader(path: folder["original"]).seal)
        let original = try DiskState(folder).files["original"]!.bytes
        /// True when the file is taken for good and is not what was written.
        func isWrong() throws -> Bool {
            do throws(StoreError) {
                let reader = try GenerationReader(path: folder["flipped"])
                let (found, defects) = reader.snapshotAndDefects()
                return defects.isEmpty && found != snapshot
            } catch { return false }
        }
        var wrong = 0
        var wrongWithout = 0
        for _ in 0..<CrashSizes.current.flips {
            var bytes = original
            bytes[random.below(bytes.count)] ^= [0x01, 0x80, 0xff][random.below(3)]
            var state = DiskState()
            state.files["flipped"] = DiskState.File(bytes: bytes, mode: 0o644)
            try state.write(to: folder)
            if try isWrong() { wrong += 1 }
            guard (try? Self.fitChecksums(of: folder["flipped"], as: seal)) != nil else { continue }
            if try isWrong() { wrongWithout += 1 }
        }
        print(
            """
            negative control checksums: of \(CrashSizes.current.flips) flipped bytes \(wrong) were taken for content; \
            with checksums made to fit, which is not to check them, \(wrongWithout) were, DOMSTORE_TEST_SEED=\(seed)
            """)
        #expect(wrong == 0)
        #expect(wrongWithout > 0)
    }

    /// Gives every row the checksum that its values have, and the file the manifest and the seal of its rows: what a reader
    /// finds then is what one that checks no sum would have found before.
    static func fitChecksums(of path: String, as seal: SealRecord) throws {
        let connection = try Connection(path: path, flags: [.readWrite])
        try connection.execute(
            "PRAGMA synchronous = OFF; PRAGMA journal_mode = OFF; PRAGMA ignore_check_constraints = ON")
        var manifest = Manifest()
        for table in RecordTable.manifested {
            let keys = table.columns.prefix(table.primaryKeyColumnCount)
            var fitting: [(key: [SQLValue], checksum: UInt64)] = []
            do {
                let rows = try connection.prepare(table.selectSQL)
                var digest = RowDigest()
                while try rows.step() {
                    let checksum = RowReader.checksum(
                        of: rows, table: table.rawValue, columns: table.columns.count, digest: &digest)
                    fitting.append((keys.indices.map { rows.value($0) }, checksum))
                    manifest[table].add(checksum)
                }
            }
            let condition = keys.map { "\($0) = ?" }.joined(separator: " AND ")
            let update = try connection.prepare("UPDATE \(table.name) SET checksum = ? WHERE \(condition)")
            for (key, checksum) in fitting {
                try update.bind(1, .blob(withUnsafeBytes(of: checksum.bigEndian) { Array($0) }))
                for (index, value) in key.enumerated() { try update.bind(index + 2, value) }
                try update.run()
            }
        }
        try connection.execute("DELETE FROM manifest; DELETE FROM seal")
        try TableWriter(.manifest, connection).write(
            RecordTable.manifested.map { ManifestRow(table: $0, entry: manifest[$0]) })
        var seal = seal
        seal.root = manifest.root(
            version: FreshGeneration.version, generation: seal.generation, timeNanoseconds: seal.timeNanoseconds,
            nonce: seal.nonce)
        seal.rowCount = manifest.rowCount
        try TableWriter(.seal, connection).write([SealRow(seal)])
    }
}
