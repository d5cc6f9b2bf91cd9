import Foundation
import IOMMUModel
import SQLite
import Snapshot
import Testing

@testable import Store

/// What a file is after its writer was cut off, and what must not be believed of a file.
@Suite("Cut off and meddled with")
struct CutOffTests {
    static let nonce = HandoverNonce(high: 1, low: 2)

    /// What a crash at this moment would leave: the file and its journal, copied to `target`.
    static func copy(_ path: String, to target: String) throws {
        for ending in ["", "-journal"] where FileManager.default.fileExists(atPath: path + ending) {
            try FileManager.default.copyItem(atPath: path + ending, toPath: target + ending)
        }
    }

    /// Makes `target` what a crash in the middle of a commit leaves: pages of `snapshot` without their end, and a hot
    /// journal that takes them back. The generation in it is open.
    static func tear(_ snapshot: Snapshot, in folder: Folder, to target: String) throws {
        let path = folder["torn"]
        try GenerationWriter(creating: path, number: 1, origin: .engine).release()
        let connection = try Connection(path: path, flags: [.readWrite])
        try connection.execute("PRAGMA journal_mode = PERSIST; PRAGMA cache_size = 2; BEGIN IMMEDIATE")
        try RecordWriter(connection).write(snapshot)
        try copy(path, to: target)
    }

    static func setMode(_ mode: Int, of path: String) throws {
        try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
    }

    @Test("A creation that is cut off before any commit leaves an empty generation, never a schema by itself")
    func creation() throws {
        let folder = try Folder()
        let crashed = try Folder()
        var moments: UInt64 = 0
        let path = try FilePath(folder["1.domstore"])
        _ = try WritableFile(creating: path, number: 1, origin: .engine, parent: nil, durability: .everyCommit) {
            moments += 1
            try? Self.copy(folder["1.domstore"], to: crashed["\(moments).domstore"])
        }
        #expect(moments > 0)
        let states = try StoreLocation(crashed.path).generations().map(\.state)
        #expect(states == Array(repeating: .empty, count: Int(moments)))
    }

    @Test("A journal beside a released generation is named and not applied")
    func strayJournal() throws {
        let folder = try Folder()
        let path = folder["1.domstore"]
        let snapshot = SnapshotMaker(seed: 9).make(size: 30)
        var writer = try GenerationWriter(creating: path, number: 1, origin: .engine)
        _ = try writer.seal(snapshot, nonce: Self.nonce)
        try writer.release()
        try Self.tear(snapshot, in: folder, to: folder["cut"])
        try FileManager.default.copyItem(atPath: folder["cut-journal"], toPath: path + "-journal")
        let reader = try GenerationReader(path: path)
        #expect(reader.header.journal == .stray)
        #expect(reader.defects() == [])
        #expect(try reader.snapshot() == snapshot)
    }

    @Test("A journal beside a read-only file that is not whole is rolled back in a copy")
    func journalOfReadOnlyFile() throws {
        let folder = try Folder()
        try Self.tear(SnapshotMaker(seed: 9).make(size: 30), in: folder, to: folder["cut"])
        try Self.setMode(0o444, of: folder["cut"])
        let reader = try GenerationReader(path: folder["cut"])
        #expect(reader.header.journal == .rolledBack)
        #expect(reader.seal == nil)
        #expect(reader.defects() == [])
    }

    @Test("A manifest that counts a table too many is a defect, and so is a manifest without a seal")
    func manifestTooLong() throws {
        let folder = try Folder()
        var row = ManifestRow(table: .unit, entry: Manifest.Entry())
        row.tableName = "nothing"
        var writer = try GenerationWriter(creating: folder["sealed"], number: 1, origin: .engine)
        _ = try writer.seal(Snapshot(origin: .engine), nonce: nil)
        try writer.release()
        try Self.setMode(0o644, of: folder["sealed"])
        try GenerationWriter(creating: folder["open"], number: 1, origin: .engine).release()
        for name in ["sealed", "open"] {
            let connection = try Connection(path: folder[name], flags: [.readWrite])
            try TableWriter(.manifest, connection).write([row])
        }
        for name in ["sealed", "open"] {
            let defects = try GenerationReader(path: folder[name]).defects()
            #expect(defects.map(\.rule) == [.manifestDiffers])
            #expect(defects.map(\.table) == ["nothing"])
        }
    }

    @Test("A seal that counts other tables than the manifest is a defect")
    func sealOfOtherTables() throws {
        let folder = try Folder()
        var writer = try GenerationWriter(creating: folder["a"], number: 1, origin: .engine)
        _ = try writer.seal(Snapshot(origin: .engine), nonce: nil)
        try writer.release()
        try Self.setMode(0o644, of: folder["a"])
        var seal = try #require(try GenerationReader(path: folder["a"]).seal)
        seal.tableCount += 1
        do {
            let connection = try Connection(path: folder["a"], flags: [.readWrite])
            try connection.execute("DELETE FROM seal")
            try TableWriter(.seal, connection).write([SealRow(seal)])
        }
        #expect(try GenerationReader(path: folder["a"]).defects().map(\.rule) == [.manifestDiffers])
    }

    @Test("The time of a seal is that of the newest event in the file, not of one whose transaction failed")
    func timeAfterFailure() throws {
        let folder = try Folder()
        var writer = try GenerationWriter(creating: folder["a"], number: 1, origin: .engine)
        try writer.append([GenerationTests.event(1)])
        var tooLarge = Snapshot(origin: .engine)
        tooLarge.backings = [
            BackingRecord(
                id: BackingID(1), kind: .memfd, base: PhysicalAddress(0), byteCount: .max, isSealed: true)
        ]
        #expect(throws: StoreError.self) {
            _ = try writer.seal(tooLarge, nonce: nil, events: [GenerationTests.event(9)])
        }
        _ = try writer.seal(Snapshot(origin: .engine), nonce: nil)
        try writer.release()
        let reader = try GenerationReader(path: folder["a"])
        #expect(reader.seal?.timeNanoseconds == 10)
        #expect(reader.defects() == [])
    }
}
