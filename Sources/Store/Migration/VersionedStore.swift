import Digest
import IOMMUModel
import Migrations
import SQLite

/// A generation of any format version, known only by its schema and what all versions have in common: checksums, manifest,
/// root digest, seal (Schema/FORMAT.md).
struct VersionedStore {
    let version: UInt32
    let tables: [VersionedTable]

    /// Takes the schema of the version that `migrations` end at for granted: compare it first.
    init(of migrations: ArraySlice<Migration>, in connection: borrowing Connection) throws(StoreError) {
        version = migrations.last?.version ?? 0
        tables = try VersionedTable.all(of: migrations, in: connection)
    }

    /// What the seal row says that the root digest takes in.
    struct Seal {
        var generation: UInt64
        var nonce: HandoverNonce?
        var root: RootDigest
        var tableCount: Int64
        var rowCount: Int64
        var timeNanoseconds: UInt64

        var receipt: SealReceipt { SealReceipt(generation: generation, nonce: nonce, root: root) }
    }

    func seal(_ connection: borrowing Connection) throws(StoreError) -> Seal? {
        do {
            let statement = try connection.prepare(
                "SELECT generation, nonce, root, table_count, row_count, time_nanoseconds FROM seal")
            guard try statement.step() else { return nil }
            let root = statement.bytes(2)
            guard root.count == 8 else { return nil }
            return Seal(
                generation: UInt64(bitPattern: statement.integer(0)),
                nonce: statement.type(1) == .null ? nil : HandoverNonce(bytes: Array(statement.bytes(1))),
                root: RootDigest(UInt64(bigEndian: root.loadUnaligned(as: UInt64.self))),
                tableCount: statement.integer(3), rowCount: statement.integer(4),
                timeNanoseconds: UInt64(bitPattern: statement.integer(5)))
        } catch { throw StoreError(error) }
    }

    /// Everything that is not what it must be: checksums, references, manifest, root. Empty for a good generation.
    func defects(_ connection: borrowing Connection) throws(StoreError) -> [StoreDefect] {
        var found: [StoreDefect] = []
        var entries: [(table: UInt32, entry: Manifest.Entry)] = []
        for table in tables {
            var entry = Manifest.Entry()
            try walk(table, connection) { key, stored, computed in
                entry.add(computed)
                if stored != computed {
                    found.append(
                        StoreDefect(
                            rule: .recordChecksum, table: table.name, key: "",
                            message: "the checksum of row \(entry.rowCount) is not that of its values"))
                }
            }
            if table.isManifested { entries.append((table.number, entry)) }
        }
        do {
            let statement = try connection.prepare("PRAGMA foreign_key_check")
            while try statement.step() {
                found.append(
                    StoreDefect(
                        rule: .referenceUnresolved, table: statement.text(0) ?? "", key: "",
                        message: "refers to a row of \(statement.text(2) ?? "?") that is not there"))
            }
        } catch { throw StoreError(error) }
        guard let seal = try seal(connection) else { return found }
        let manifest = try manifest(connection)
        for (number, entry) in entries {
            let name = tables.first { $0.number == number }?.name ?? ""
            if manifest[name] == entry { continue }
            found.append(
                StoreDefect(rule: .manifestDiffers, table: name, key: "", message: "is not as the manifest says"))
        }
        let rows = entries.reduce(0) { $0 + $1.entry.rowCount }
        if manifest.count != entries.count || seal.tableCount != Int64(entries.count) || seal.rowCount != Int64(rows)
            || seal.root != root(seal, entries)
        {
            found.append(
                StoreDefect(
                    rule: .rootDigestDiffers, table: RecordTable.seal.name, key: "",
                    message: "the records amount to root \(root(seal, entries)), the seal says \(seal.root)"))
        }
        return found
    }

    /// Computes every checksum, the manifest and the root anew, in the caller's transaction.
    func seal(again connection: borrowing Connection) throws(StoreError) {
        for table in tables where table.isManifested { try recompute(table, connection) }
        guard var seal = try seal(connection) else { return }
        do {
            try connection.execute("DELETE FROM manifest")
            var entries: [(table: UInt32, entry: Manifest.Entry)] = []
            for table in tables where table.isManifested {
                var entry = Manifest.Entry()
                try walk(table, connection) { _, _, computed in entry.add(computed) }
                entries.append((table.number, entry))
                let insert = try connection.prepare(
                    "INSERT INTO manifest (table_name, row_count, checksum_sum, checksum) VALUES (?, ?, ?, zeroblob(8))"
                )
                try insert.bind(1, text: table.name)
                try insert.bind(2, integer: Int64(entry.rowCount))
                try insert.bind(3, .blob(Self.bytes(entry.checksumSum)))
                try insert.run()
            }
            let rows = entries.reduce(0) { $0 + $1.entry.rowCount }
            (seal.tableCount, seal.rowCount) = (Int64(entries.count), Int64(rows))
            let update = try connection.prepare("UPDATE seal SET root = ?, table_count = ?, row_count = ?")
            try update.bind(1, .blob(Self.bytes(root(seal, entries).rawValue)))
            try update.bind(2, integer: seal.tableCount)
            try update.bind(3, integer: seal.rowCount)
            try update.run()
        } catch let error as SQLiteError { throw StoreError(error) } catch let error as StoreError { throw error } catch
        {
            preconditionFailure("\(error)")
        }
        for table in tables where !table.isManifested { try recompute(table, connection) }
    }

    private func root(_ seal: Seal, _ entries: [(table: UInt32, entry: Manifest.Entry)]) -> RootDigest {
        RootDigest(
            XXH64.hash(
                Manifest.rootInput(
                    version: version, generation: seal.generation, timeNanoseconds: seal.timeNanoseconds,
                    nonce: seal.nonce, entries: entries)))
    }

    private func manifest(_ connection: borrowing Connection) throws(StoreError) -> [String: Manifest.Entry] {
        do {
            let statement = try connection.prepare("SELECT table_name, row_count, checksum_sum FROM manifest")
            var entries: [String: Manifest.Entry] = [:]
            while try statement.step() {
                let sum = statement.bytes(2)
                guard let name = statement.text(0), sum.count == 8 else { continue }
                entries[name] = Manifest.Entry(
                    rowCount: UInt64(bitPattern: statement.integer(1)),
                    checksumSum: UInt64(bigEndian: sum.loadUnaligned(as: UInt64.self)))
            }
            return entries
        } catch { throw StoreError(error) }
    }

    /// Calls `body` with the key, the stored and the computed checksum of each row.
    private func walk(
        _ table: VersionedTable, _ connection: borrowing Connection,
        _ body: (_ key: [SQLValue], _ stored: UInt64?, _ computed: UInt64) -> Void
    ) throws(StoreError) {
        do {
            let statement = try connection.prepare(table.selectSQL)
            let places = table.key.compactMap { table.columns.firstIndex(of: $0) }
            var digest = RowDigest()
            while try statement.step() {
                let computed = RowReader.checksum(
                    of: statement, table: table.number, columns: table.columns.count, digest: &digest)
                let stored = statement.bytes(table.columns.count)
                body(
                    places.map { statement.value($0) },
                    stored.count == 8 ? UInt64(bigEndian: stored.loadUnaligned(as: UInt64.self)) : nil, computed)
            }
        } catch { throw StoreError(error) }
    }

    private func recompute(_ table: VersionedTable, _ connection: borrowing Connection) throws(StoreError) {
        var wrong: [(key: [SQLValue], checksum: UInt64)] = []
        try walk(table, connection) { key, stored, computed in
            if stored != computed { wrong.append((key, computed)) }
        }
        guard !wrong.isEmpty else { return }
        do {
            let condition = table.key.map { "\($0) = ?" }.joined(separator: " AND ")
            let update = try connection.prepare("UPDATE \(table.name) SET checksum = ? WHERE \(condition)")
            for (key, checksum) in wrong {
                try update.bind(1, .blob(Self.bytes(checksum)))
                for (index, value) in key.enumerated() { try update.bind(index + 2, value) }
                try update.run()
            }
        } catch { throw StoreError(error) }
    }

    private static func bytes(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}
