import Foundation
import IOMMUModel
import Snapshot
import Testing

@testable import Store

/// A folder of its own for one test, removed with it.
final class Folder {
    let path: String
    /// - Parameter memory: in memory, where that is to be had: for what would spend its time waiting for the disk.
    init(inMemory memory: Bool = false) throws {
        let parent =
            memory && FileManager.default.fileExists(atPath: "/dev/shm")
            ? URL(filePath: "/dev/shm") : FileManager.default.temporaryDirectory
        path = parent.appending(path: "domstore-\(UUID().uuidString)").path()
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }
    deinit { try? FileManager.default.removeItem(atPath: path) }
    subscript(_ name: String) -> String { "\(path)/\(name)" }
    var names: [String] { ((try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []).sorted() }
}

@Suite("Generations")
struct GenerationTests {
    static let nonce = HandoverNonce(high: 0x0123_4567_89ab_cdef, low: 0xfedc_ba98_7654_3210)

    static func event(_ sequence: UInt64, _ kind: Event.Kind = .operation, _ arguments: [Event.Argument] = []) -> Event
    {
        Event(sequence: sequence, timeNanoseconds: sequence * 10, kind: kind, name: "map", arguments: arguments)
    }

    @Test("What is sealed reads back equal", arguments: 0..<12)
    func roundTrip(seed: Int) throws {
        let folder = try Folder()
        let snapshot = SnapshotMaker(seed: UInt64(seed)).make(size: seed * seed * 3)
        var writer = try GenerationWriter(creating: folder["1.domstore"], number: 1, origin: .engine)
        try writer.append([Self.event(1), Self.event(2)])
        let receipt = try writer.seal(snapshot, nonce: Self.nonce, events: [Self.event(3, .phase)])
        try writer.release()
        let reader = try GenerationReader(path: folder["1.domstore"])
        #expect(reader.defects() == [])
        #expect(try reader.snapshot() == snapshot)
        #expect(try reader.events().map(\.sequence) == [1, 2, 3])
        #expect(reader.seal?.receipt == receipt)
        #expect(reader.seal?.nonce == Self.nonce)
        #expect(folder.names == ["1.domstore"])
        let mode = try FileManager.default.attributesOfItem(atPath: folder["1.domstore"])[.posixPermissions] as? Int
        #expect(mode == 0o444)
    }

    /// SQLite is not asked while a whole state is written.
    @Test("A record that refers to one that is not there is never written, whole or later")
    func references() throws {
        let folder = try Folder()
        let good = SnapshotMaker(seed: 7).make(size: 40)
        var bad = good
        let used = try #require(good.attachments.last?.domain)
        bad.domains.removeAll { $0.id == used }
        bad.domainUnits.removeAll { $0.domain == used }
        bad.hwpts.removeAll { $0.domain == used }
        bad.tablePages.removeAll { $0.domain == used }
        let orphan = try #require(bad.attachments.first { $0.domain == used })
        let refused = StoreError.unrepresentable(
            table: "attachment", key: UnresolvedReferenceTests.key(orphan),
            what: "it refers to domain \(used), which is not there")
        var writer = try GenerationWriter(creating: folder["1"], number: 1, origin: .engine)
        #expect(throws: refused) { try writer.seal(bad, nonce: Self.nonce) }
        #expect(throws: refused) { try FreshGeneration.write(bad, to: folder["2"]) }
        // And SQLite is asked again afterwards.
        let changes = SnapshotChanges(from: Snapshot(origin: .engine), to: bad)
        #expect(throws: StoreError.self) { try writer.precopy(changes) }
        try writer.precopy(SnapshotChanges(from: Snapshot(origin: .engine), to: good))
        try writer.release()
        #expect(folder.names == ["1"])
    }

    @Test("An import is one whole file under its name, and nothing else")
    func fresh() throws {
        let folder = try Folder()
        var snapshot = SnapshotMaker(seed: 5).make(size: 40)
        snapshot.origin = .imported
        _ = try FreshGeneration.write(snapshot, to: folder["x.domstore"])
        #expect(folder.names == ["x.domstore"])
        let reader = try GenerationReader(path: folder["x.domstore"])
        #expect(try reader.snapshot() == snapshot)
        #expect(reader.seal?.nonce == nil)
        #expect(throws: StoreError.alreadyExists(path: folder["x.domstore"])) {
            try FreshGeneration.write(snapshot, to: folder["x.domstore"])
        }
    }

    @Test("A sealed generation takes nothing more, an existing file is not taken over")
    func sealedIsEnd() throws {
        let folder = try Folder()
        let path = folder["1.domstore"]
        var writer = try GenerationWriter(creating: path, number: 1, origin: .engine)
        _ = try writer.seal(Snapshot(origin: .engine), nonce: nil)
        #expect(throws: StoreError.alreadySealed(number: 1)) { try writer.append([Self.event(1)]) }
        try writer.release()
        #expect(throws: StoreError.self) { _ = try GenerationWriter(creating: path, number: 1, origin: .engine).number }
    }

    @Test("An open generation of this process is not opened a second time; dropped, it reads as open")
    func open() throws {
        let folder = try Folder()
        let path = folder["1.domstore"]
        do {
            let writer = try GenerationWriter(creating: path, number: 1, origin: .engine)
            try writer.append([Self.event(1)])
            #expect(throws: StoreError.self) { _ = try GenerationReader(path: path).header }
        }
        let reader = try GenerationReader(path: path)
        #expect(reader.seal == nil)
        #expect(try reader.events().count == 1)
    }

    @Test("A number that another engine took is refused, the next free one is found")
    func numbers() throws {
        let folder = try Folder()
        let location = try StoreLocation(folder.path)
        let first = try location.create(number: 1)
        #expect(throws: StoreError.heldByEngine(path: folder["1.domstore"])) {
            let second = try location.create(number: 1)
            try second.append([Self.event(1)])
        }
        let next = try location.create()
        #expect(first.number == 1 && next.number == 2)
        #expect(try location.numbers() == [1, 2])
    }

    @Test("The newest sealed generation that is not revoked is the one to read")
    func newest() throws {
        let folder = try Folder()
        #expect(throws: StoreError.self) { _ = try StoreLocation(folder.path).resolve() }
        for number: UInt64 in 1...2 {
            var writer = try GenerationWriter(
                creating: folder["\(number).domstore"], number: number, origin: .engine)
            _ = try writer.seal(Snapshot(origin: .engine), nonce: Self.nonce)
            try writer.release()
        }
        let location = try StoreLocation(folder.path)
        #expect(try location.resolve() == folder["2.domstore"])
        do {
            let writer = try GenerationWriter(creating: folder["3.domstore"], number: 3, origin: .engine)
            try writer.append([Self.event(1, .revoke, [.init("generation", 2 as UInt64)])])
        }
        _ = FileManager.default.createFile(atPath: folder["4.domstore"], contents: Data())
        #expect(try location.resolve() == folder["1.domstore"])
        #expect(try location.resolve(generation: 2) == folder["2.domstore"])
        #expect(try location.nextNumber() == 5)
        let states = try location.generations().map(\.state)
        #expect(states.count == 4)
        if case .revoked = states[1] {} else { Issue.record("generation 2 is not revoked: \(states[1])") }
        #expect(states[2] == .open && states[3] == .empty)
        try FileManager.default.createSymbolicLink(
            atPath: folder["5.domstore"], withDestinationPath: folder["1.domstore"])
        #expect(throws: StoreError.symbolicLink(path: folder["5.domstore"])) { try location.resolve() }
    }

    @Test("Every flipped byte is found or changes nothing, and never traps", arguments: [UInt8(0x01), 0x80, 0xff])
    func flips(mask: UInt8) throws {
        let folder = try Folder()
        let snapshot = SnapshotMaker(seed: 3).make(size: 12)
        _ = try FreshGeneration.write(snapshot, to: folder["a.domstore"])
        let original = try Data(contentsOf: URL(filePath: folder["a.domstore"]))
        let path = folder["b.domstore"]
        var found = 0
        var harmless = 0
        for offset in stride(from: Int(mask) % 7, to: original.count, by: 211) {
            var bytes = original
            bytes[offset] ^= mask
            try bytes.write(to: URL(filePath: path))
            do throws(StoreError) {
                let reader = try GenerationReader(path: path)
                if reader.defects().isEmpty {
                    harmless += 1
                    let back = try reader.snapshot()
                    #expect(back == snapshot, "byte \(offset)")
                } else {
                    found += 1
                }
            } catch {
                found += 1
            }
        }
        #expect(found > 25)
        #expect(found + harmless > 60)
    }

    @Test("Truncated files and files of others are refused with a line that says so")
    func refused() throws {
        let folder = try Folder()
        _ = try FreshGeneration.write(SnapshotMaker(seed: 3).make(size: 5), to: folder["a"])
        let original = try Data(contentsOf: URL(filePath: folder["a"]))
        for count in [0, 1, 99, 100, 4095, 4096, original.count - 1] {
            try original.prefix(count).write(to: URL(filePath: folder["b"]))
            #expect(throws: StoreError.self) { _ = try GenerationReader(path: folder["b"]).header }
        }
        func edited(_ offset: Int, _ value: UInt8) throws -> StoreError? {
            var bytes = original
            bytes[offset] = value
            try bytes.write(to: URL(filePath: folder["b"]))
            do throws(StoreError) {
                _ = try GenerationReader(path: folder["b"]).header
                return nil
            } catch { return error }
        }
        #expect(try edited(68, 0) == .notOurs(applicationID: 0x006d_7374))
        #expect(try edited(63, 9) == .tooNew(found: 9, supported: 2))
        #expect(try edited(0, 0)?.description.contains("SQLite format 3") == true)
    }
}
