import Foundation
import IOMMUModel
import Snapshot
import Store
import Testing

@testable import Validate

@Suite struct ManifestCheckedTests {
    static let nonce = HandoverNonce(high: 1, low: 2)

    /// Calls `body` with the path of a sealed generation in a folder of its own.
    static func withGeneration(
        nonce: HandoverNonce? = nonce, sealed: Bool = true, _ body: (String, Snapshot) throws -> Void
    ) throws {
        let folder = FileManager.default.temporaryDirectory.appending(path: "domstore-\(UUID().uuidString)").path()
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let path = folder + "/1.domstore"
        var snapshot = try TestMachine().snapshot
        snapshot.normalize()
        var writer = try GenerationWriter(creating: path, number: 1, origin: .engine)
        if sealed { _ = try writer.seal(snapshot, nonce: nonce) }
        try writer.release()
        try body(path, snapshot)
    }

    static func refusal(_ path: String, revoked: Bool = false, _ memory: MemoryNonce) -> RestoreRefusal? {
        do {
            _ = try ManifestChecked.check(path: path, isRevoked: revoked, memory: memory)
            return nil
        } catch {
            return error
        }
    }

    @Test func `a good file with its nonce gives the state that was sealed`() throws {
        try Self.withGeneration { path, snapshot in
            let checked = try ManifestChecked.check(path: path, memory: .present(Self.nonce))
            #expect(checked.snapshot == snapshot)
            #expect(!checked.isReconstruction)
            #expect(checked.seal.nonce == Self.nonce)
            #expect(try ManifestChecked.check(path: path, memory: .noMemory).isReconstruction)
        }
    }

    @Test func `the verdicts of the table come from real files`() throws {
        try Self.withGeneration { path, _ in
            #expect(Self.refusal(path, .absent)?.verdict == .coldBoot)
            #expect(Self.refusal(path, .present(HandoverNonce(high: 9, low: 9)))?.rule == .nonceDiffers)
            #expect(Self.refusal(path, revoked: true, .present(Self.nonce))?.rule == .sealRevoked)
        }
        try Self.withGeneration(sealed: false) { path, _ in
            #expect(Self.refusal(path, .present(Self.nonce))?.rule == .sealMissing)
        }
    }

    /// What the listing verbs do with a damaged file: records are missing, nothing traps.
    static func listWhatCanBeRead(_ path: String) throws {
        guard let reader = try? GenerationReader(path: path) else { return }
        let (snapshot, defects) = reader.snapshotAndDefects()
        guard let snapshot else { return }
        _ = try Checker().check(snapshot, defects: defects)
        try RecordedMachine(snapshot).forEachMapping { _ in true }
    }

    @Test(arguments: Array(stride(from: 0, to: 4096 * 60, by: 3989)))
    func `a flipped byte never gives another state, and what can be read traps nothing`(offset: Int) throws {
        try Self.withGeneration { path, snapshot in
            try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
            var bytes = try Data(contentsOf: URL(filePath: path))
            guard offset < bytes.count else { return }
            bytes[offset] ^= 0x10
            try bytes.write(to: URL(filePath: path))
            try Self.listWhatCanBeRead(path)
            if let refusal = Self.refusal(path, .present(Self.nonce)) {
                #expect(refusal.verdict == .stop, "\(refusal)")
                return
            }
            let checked = try ManifestChecked.check(path: path, memory: .present(Self.nonce))
            #expect(checked.snapshot == snapshot)
            #expect(checked.seal.nonce == Self.nonce)
        }
    }

    @Test func `a file that is no generation stops the machine`() throws {
        try Self.withGeneration { path, _ in
            let other = path + ".txt"
            try Data("not a database, but longer than one hundred bytes".utf8 + Data(repeating: 32, count: 600)).write(
                to: URL(filePath: other))
            let refusal = Self.refusal(other, .present(Self.nonce))
            #expect(refusal?.verdict == .stop)
            #expect(refusal?.rule == .storeApplication)
        }
    }

    @Test func `what is wrong with a file stands among the findings`() throws {
        let defect = StoreDefect(rule: .recordChecksum, table: "device", key: "segment=0 rid=32", message: "wrong")
        let findings = try Checker().check(TestMachine().snapshot, defects: [defect])
        #expect(findings.map(\.rule) == [.recordChecksum])
        #expect(findings.first?.record == Finding.RecordKey(table: "device", key: "segment=0 rid=32"))
    }
}
