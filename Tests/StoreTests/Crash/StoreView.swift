import Foundation
import IOMMUModel
import SQLite
import Snapshot

@testable import Store

/// Everything that a store's readers can see of a directory, but for the wrapping: which generations there are, and each
/// one's records, events and seal. Whatever is damaged makes no view.
///
/// A generation in which nothing was ever committed is none.
struct StoreView: Hashable {
    struct Generation: Hashable {
        var number: UInt64
        var parent: ParentGeneration?
        var origin: Snapshot.Origin
        var seal: SealRecord?
        var events: [Event]
        var snapshot: Snapshot
    }

    /// A generation of a later version under another name than a number, as a migration makes it: every row of it.
    struct Copy: Hashable {
        var version: UInt32
        var seal: SealReceipt?
        var rows: [String: [[SQLValue]]]
    }

    var generations: [Generation] = []
    /// By name.
    var copies: [String: Copy] = [:]
    /// The number of the generation that a restore would start from.
    var newest: UInt64?

    /// What the hardened reader makes of `folder`.
    init(_ folder: Folder) throws {
        for name in folder.names where name.hasSuffix(StoreLocation.fileEnding) && !(name.first?.isNumber ?? false) {
            copies[name] = try Self.copy(at: folder[name])
        }
        let location = try StoreLocation(folder.path)
        var revoked: Set<UInt64> = []
        for number in try location.numbers().reversed() {
            let path = location.path(of: number)
            do throws(StoreError) {
                let reader = try GenerationReader(path: path)
                let (snapshot, defects) = reader.snapshotAndDefects()
                guard let snapshot, defects.isEmpty else {
                    throw .verificationFailed(path: path, what: defects.map(\.description).joined(separator: "; "))
                }
                let events = try reader.events()
                generations.insert(
                    Generation(
                        number: reader.header.number, parent: reader.header.parent, origin: reader.header.origin,
                        seal: reader.seal, events: events, snapshot: snapshot), at: 0)
                if newest == nil, reader.seal != nil, !revoked.contains(number) { newest = number }
                for event in events where event.kind == .revoke {
                    if let number = event["generation"].flatMap({ UInt64($0) }) { revoked.insert(number) }
                }
            } catch {
                guard try location.generations().contains(where: { $0.number == number && $0.state == .empty }) else {
                    throw error
                }
            }
        }
    }

    private static let laterSchema = Result { try KnownSchema(of: MigrationTests.three) }

    /// The migrated generation at `path`, checked as its version asks for.
    private static func copy(at path: String) throws -> Copy {
        let bytes = try FileBytes.read(FilePath(path))
        let header = try DatabaseHeader(
            UnsafeRawBufferPointer(start: bytes.base, count: bytes.count), versions: 3...3)
        try header.check(fileBytes: UInt64(bytes.count))
        let connection = try GenerationReader.hostile(bytes)
        _ = try laterSchema.get().check(connection)
        let store = try VersionedStore(of: MigrationTests.three[...], in: connection)
        if let defect = try store.defects(connection).first { throw defect.error }
        var rows: [String: [[SQLValue]]] = [:]
        for table in store.tables {
            let statement = try connection.prepare(table.selectSQL)
            while try statement.step() {
                rows[table.name, default: []].append((0..<statement.columnCount).map { statement.value($0) })
            }
        }
        return Copy(version: header.userVersion, seal: try store.seal(connection)?.receipt, rows: rows)
    }

    /// What is there after SQLite itself, as any shell would, has opened every file of `folder` and rolled back what it
    /// finds. Changes the folder.
    init(afterRecoveryIn folder: Folder) throws {
        for name in folder.names where name.hasSuffix(StoreLocation.fileEnding) {
            chmod(folder[name], 0o644)
            let connection = try Connection(path: folder[name], flags: [.readWrite])
            let verdict = try connection.text("PRAGMA integrity_check")
            guard verdict == "ok" else { throw CrashProblem(what: "integrity_check: \(verdict ?? "nothing")") }
        }
        try self.init(folder)
    }
}
