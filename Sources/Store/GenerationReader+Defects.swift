import IOMMUModel
import SQLite
import Snapshot

extension GenerationReader {
    /// Everything in the file that is not what it must be: every row and chunk, manifest, root digest, references. Never
    /// stops at the first. O(file).
    public borrowing func defects() -> [StoreDefect] { snapshotAndDefects().defects }

    /// As ``defects()``, with every record that could be read; `nil` when reading ended early.
    public borrowing func snapshotAndDefects() -> (snapshot: Snapshot?, defects: [StoreDefect]) {
        let state = checkedState()
        return (state.snapshot, state.defects)
    }

    /// What a file holds, and how far it can be trusted.
    public struct CheckedState: Sendable {
        /// What could be read; `nil` where reading ended early.
        public var snapshot: Snapshot?
        /// Everything that is wrong.
        public var defects: [StoreDefect]
        /// With the checksums that are stored, the rows amount to what manifest and seal say: values have changed, but no
        /// row is lost, is there twice, was added, or took another one's place.
        public var hasEveryRow: Bool
    }

    /// As ``snapshotAndDefects()``, with what is known of the rows that are damaged.
    public borrowing func checkedState() -> CheckedState {
        var hasEveryRow = false
        var state = readState()
        let isComplete =
            state.failure == nil && state.defects.isEmpty
            // A register of no unit is in no record: then there are more rows than registers.
            && state.snapshot.units.reduce(0) { $0 + $1.registers.count }
                == Int(clamping: state.manifest[.unitRegister].rowCount)
            && state.snapshot.unresolvedReference(areaOwners: state.areaOwners) == nil
        do throws(StoreError) {
            if let failure = state.failure { throw failure }
            try checkOwnTables(&state.manifest, &state.defects)
            // Where one does not resolve, SQLite says which it is; and of rows that could not be read, too.
            if !isComplete { try checkReferences(&state.defects) }
            hasEveryRow = try checkSeal(state.manifest, &state.defects)
        } catch {
            state.defects.append(
                StoreDefect(rule: .recordMalformed, table: "", key: "", message: "reading ended: \(error.description)"))
        }
        return CheckedState(
            snapshot: state.failure == nil ? state.snapshot : nil, defects: state.defects, hasEveryRow: hasEveryRow)
    }

    private borrowing func checkOwnTables(
        _ manifest: inout Manifest, _ found: inout [StoreDefect]
    ) throws(StoreError) {
        var defects: [StoreDefect] = []
        manifest[.generation] = try TableCheck.read(.generation, connection) { (row) throws(RowDefect) in
            _ = try GenerationRow(from: row)
        } defect: {
            defects.append($0)
        }
        manifest[.feature] = try TableCheck.read(.feature, connection) { (row) throws(RowDefect) in
            _ = try FeatureRow(from: row)
        } defect: {
            defects.append($0)
        }
        manifest[.event] = try TableCheck.read(.event, connection) { (row) throws(RowDefect) in
            _ = try Event(from: row)
        } defect: {
            defects.append($0)
        }
        found += defects
    }

    private borrowing func checkReferences(_ found: inout [StoreDefect]) throws(StoreError) {
        do {
            let statement = try connection.prepare("PRAGMA foreign_key_check")
            while try statement.step() {
                let table = statement.text(0) ?? ""
                found.append(
                    StoreDefect(
                        rule: .referenceUnresolved, table: table, key: "row \(statement.integer(1))",
                        message: "refers to a row of \(statement.text(2) ?? "?") that is not there"))
            }
        } catch {
            guard error.isCorrupt else { throw StoreError(error) }
            found.append(StoreDefect(rule: .recordMalformed, table: "", key: "", message: error.message))
        }
    }

    /// Answers ``CheckedState/hasEveryRow``.
    private borrowing func checkSeal(_ manifest: Manifest, _ found: inout [StoreDefect]) throws(StoreError) -> Bool {
        var stored = manifest
        for defect in found {
            guard let row = defect.row, let table = RecordTable.manifested.first(where: { $0.name == defect.table })
            else { continue }
            stored[table].checksumSum &+= row.correction
        }
        var recorded: [String: Manifest.Entry] = [:]
        var defects: [StoreDefect] = []
        _ = try TableCheck.read(.manifest, connection) { (row) throws(RowDefect) in
            let entry = try ManifestRow(from: row)
            recorded[entry.tableName] = entry.entry
        } defect: {
            defects.append($0)
        }
        guard let seal else {
            // Manifest and seal come in one transaction: one without the other is not ours.
            for name in recorded.keys.sorted() {
                defects.append(
                    StoreDefect(
                        rule: .manifestDiffers, table: name, key: "",
                        message: "stands in the manifest of a generation without a seal"))
            }
            found += defects
            return false
        }
        var hasEveryRow =
            defects.isEmpty && recorded.count == RecordTable.manifested.count
            && RecordTable.manifested.allSatisfy { recorded[$0.name] == stored[$0] }
            && seal.tableCount == RecordTable.manifested.count && stored.rowCount == seal.rowCount
        for table in RecordTable.manifested {
            let now = manifest[table]
            let was = recorded.removeValue(forKey: table.name)
            if was == now { continue }
            defects.append(
                StoreDefect(
                    rule: .manifestDiffers, table: table.name, key: "",
                    message: "\(now.rowCount) rows with checksum sum \(hex(now.checksumSum)); the manifest says "
                        + (was.map { "\($0.rowCount) rows with \(hex($0.checksumSum))" } ?? "nothing")))
        }
        for name in recorded.keys.sorted() {
            defects.append(
                StoreDefect(
                    rule: .manifestDiffers, table: name, key: "",
                    message: "stands in the manifest and is no table that it counts"))
        }
        if seal.tableCount != RecordTable.manifested.count {
            defects.append(
                StoreDefect(
                    rule: .manifestDiffers, table: RecordTable.seal.name, key: "",
                    message: "the seal speaks of \(seal.tableCount) tables, expected \(RecordTable.manifested.count)"))
        }
        let version = header.formatVersion
        func root(_ manifest: Manifest) -> RootDigest {
            manifest.root(
                version: version, generation: seal.generation, timeNanoseconds: seal.timeNanoseconds,
                nonce: seal.nonce)
        }
        hasEveryRow = hasEveryRow && root(stored) == seal.root
        let root = root(manifest)
        if root != seal.root || manifest.rowCount != seal.rowCount {
            defects.append(
                StoreDefect(
                    rule: .rootDigestDiffers, table: RecordTable.seal.name, key: "",
                    message: "the records amount to root \(root) over \(manifest.rowCount) rows; the seal says "
                        + "\(seal.root) over \(seal.rowCount)"))
        }
        found += defects
        return hasEveryRow
    }
}
