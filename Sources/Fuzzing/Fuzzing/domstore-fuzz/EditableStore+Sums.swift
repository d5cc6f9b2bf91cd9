import Digest
import SQLite

extension EditableStore {
    private struct Entry {
        var rows: UInt64 = 0
        var sum: UInt64 = 0
    }

    /// Gives every row its checksum, and the file the manifest and the root of its rows: then it is for the decoders to see
    /// what is wrong. As Schema/FORMAT.md says, by code of its own but for the hash.
    borrowing func fitSums() throws {
        var entries: [Entry] = []
        for table in base.tables.dropLast(2) { entries.append(try fit(table)) }
        let manifest = try connection.prepare(
            "UPDATE manifest SET row_count = ?, checksum_sum = ? WHERE table_name = ?")
        for (table, entry) in zip(base.tables, entries) {
            try manifest.bind(1, integer: Int64(entry.rows))
            try manifest.bind(2, .blob(Self.bytes(entry.sum)))
            try manifest.bind(3, text: table.name)
            try manifest.run()
        }
        let seal = try connection.prepare(
            "UPDATE seal SET root = ?, table_count = \(entries.count), row_count = \(entries.reduce(0) { $0 + $1.rows })"
        )
        try seal.bind(1, .blob(Self.bytes(try root(entries))))
        try seal.run()
        for table in base.tables.suffix(2) { _ = try fit(table) }
    }

    private borrowing func root(_ entries: [Entry]) throws -> UInt64 {
        let seal = try connection.prepare("SELECT generation, time_nanoseconds, nonce FROM seal")
        guard try seal.step() else { return 0 }
        var bytes = Array("domstore".utf8)
        func append(_ value: some FixedWidthInteger) { withUnsafeBytes(of: value.bigEndian) { bytes += $0 } }
        append(UInt32(try connection.integer("PRAGMA user_version") ?? 0))
        append(UInt32(entries.count))
        append(seal.integer(0))
        append(seal.integer(1))
        let nonce = Array(seal.bytes(2))
        bytes.append(nonce.count == 16 ? 1 : 0)
        bytes += nonce.count == 16 ? nonce : [UInt8](repeating: 0, count: 16)
        for (index, entry) in entries.enumerated() {
            append(UInt32(index + 1))
            append(entry.rows)
            append(entry.sum)
        }
        return XXH64.hash(bytes)
    }

    private borrowing func fit(_ table: Table) throws -> Entry {
        var entry = Entry()
        var wrong: [(key: [SQLValue], checksum: UInt64)] = []
        do {
            let places = table.key.compactMap { table.columns.firstIndex(of: $0) }
            let rows = try connection.prepare("SELECT \(table.columns.joined(separator: ", ")) FROM \(table.name)")
            var digest = RowDigest()
            let last = table.columns.count - 1
            while try rows.step() {
                digest.begin(table: table.number)
                for column in 0..<last {
                    switch rows.type(column) {
                    case .integer: digest.append(integer: rows.integer(column))
                    case .text: digest.append(text: rows.bytes(column))
                    case .blob: digest.append(blob: rows.bytes(column))
                    case .null, .real: digest.appendNull()
                    }
                }
                let checksum = digest.finish()
                entry.rows += 1
                entry.sum &+= checksum
                if Array(rows.bytes(last)) != Self.bytes(checksum) {
                    wrong.append((places.map { rows.value($0) }, checksum))
                }
            }
        }
        let condition = table.key.map { "\($0) IS ?" }.joined(separator: " AND ")
        let update = try connection.prepare("UPDATE \(table.name) SET checksum = ? WHERE \(condition)")
        for (key, checksum) in wrong {
            try update.bind(1, .blob(Self.bytes(checksum)))
            for (index, value) in key.enumerated() { try update.bind(index + 2, value) }
            try update.run()
        }
        return entry
    }

    private static func bytes(_ value: UInt64) -> [UInt8] { withUnsafeBytes(of: value.bigEndian) { Array($0) } }
}
