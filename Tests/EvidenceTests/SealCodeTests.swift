import Foundation
import IOMMUModel
import Snapshot
import Store
import Testing

@testable import Evidence

/// Codes of seals: what they vouch for, and what each way of meddling is called.
@Suite("Seal codes")
struct SealCodeTests {
    /// A folder with one sealed generation, its key and its code.
    final class Ground {
        let path: String
        let store: String
        let key: SealKey

        init() throws {
            path = FileManager.default.temporaryDirectory.appending(path: "domstore-\(UUID().uuidString)").path()
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
            store = path + "/1.domstore"
            key = try #require(SealKey(Array(0..<32)))
            var snapshot = Snapshot(origin: .imported)
            snapshot.sessions = [SessionRecord(id: SessionID(1), name: "one")]
            _ = try FreshGeneration.write(snapshot, to: store)
            try SealCode.write(of: store, key: key)
        }

        deinit { try? FileManager.default.removeItem(atPath: path) }

        func verify(_ other: SealKey? = nil) throws -> SealCodeError? {
            let reader = try GenerationReader(path: store)
            do throws(SealCodeError) {
                try SealCode.verify(reader, key: other ?? key)
                return nil
            } catch { return error }
        }

        /// Replaces the bytes of the generation or its code.
        func put(_ data: Data, _ ending: String = "") throws {
            try? FileManager.default.removeItem(atPath: store + ending)
            try data.write(to: URL(filePath: store + ending))
        }

        func bytes(_ ending: String = "") throws -> Data { try Data(contentsOf: URL(filePath: store + ending)) }
    }

    @Test("A code vouches for its file; it is read-only, and nothing else is left beside it")
    func good() throws {
        let ground = try Ground()
        #expect(try ground.verify() == nil)
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: ground.path).sorted() == [
                "1.domstore", "1.domstore.hmac",
            ])
        let mode = try FileManager.default.attributesOfItem(atPath: ground.store + ".hmac")[.posixPermissions] as? Int
        #expect(mode == 0o444)
        // Again, in place of the first.
        try SealCode.write(of: ground.store, key: ground.key)
        #expect(try ground.verify() == nil)
        // A directory of generations passes it over.
        #expect(try StoreLocation(ground.path).numbers() == [1])
    }

    @Test("A file without its code, with another key's, or with another text is refused, each by its name")
    func refused() throws {
        let ground = try Ground()
        let other = try #require(SealKey(Array(1..<33)))
        #expect(
            try ground.verify(other)
                == .otherKey(path: ground.store + ".hmac", found: ground.key.identifier, expected: other.identifier))
        let code = try ground.bytes(".hmac")
        for bad in [
            Data(), Data("text".utf8), code + Data("\n".utf8), code.dropLast(), Data(repeating: 65, count: 5000),
        ] {
            try ground.put(bad, ".hmac")
            guard case .malformed = try ground.verify() else {
                Issue.record("\(bad.count) bytes: \(String(describing: try ground.verify()))")
                continue
            }
        }
        try FileManager.default.removeItem(atPath: ground.store + ".hmac")
        #expect(try ground.verify() == .missing(path: ground.store + ".hmac"))
        try FileManager.default.createSymbolicLink(
            atPath: ground.store + ".hmac", withDestinationPath: "/dev/zero")
        guard case .malformed = try ground.verify() else {
            Issue.record("a link is followed")
            return
        }
    }

    @Test("Every flipped bit of a code is refused")
    func flips() throws {
        let ground = try Ground()
        let code = try ground.bytes(".hmac")
        for index in code.indices {
            var bytes = code
            bytes[index] ^= 1 << UInt8(index % 8)
            try ground.put(bytes, ".hmac")
            #expect(try ground.verify() != nil, "byte \(index)")
        }
    }

    @Test("A forger without the key is found, whatever sums are made good")
    func forged() throws {
        let ground = try Ground()
        // Another whole and sound generation of the same number, in place of the first; then its numbers in the code, too.
        var snapshot = Snapshot(origin: .imported)
        snapshot.sessions = [SessionRecord(id: SessionID(1), name: "two")]
        _ = try FreshGeneration.write(snapshot, to: ground.store, replacing: true)
        let reader = try GenerationReader(path: ground.store)
        #expect(reader.defects() == [])
        guard case .differs(_, let what) = try ground.verify() else {
            Issue.record("not found")
            return
        }
        #expect(what.hasPrefix("root "))
        var forged = try SealCode(of: reader, key: ground.key)
        forged.code = String(repeating: "0", count: 64)
        try ground.put(Data(forged.bytes), ".hmac")
        #expect(try ground.verify() == .forged(path: ground.store + ".hmac"))
    }

    @Test("A byte that holds no content is vouched for, too: the whole file is")
    func slack() throws {
        let ground = try Ground()
        var bytes = try ground.bytes()
        // SQLite's version number, which no check looks at.
        bytes[99] ^= 1
        try ground.put(bytes)
        let reader = try GenerationReader(path: ground.store)
        #expect(reader.defects() == [])
        guard case .differs(_, let what) = try ground.verify() else {
            Issue.record("not found")
            return
        }
        #expect(what.hasPrefix("sha256 "))
    }

    @Test("An open generation gets no code")
    func open() throws {
        let ground = try Ground()
        let path = ground.path + "/2.domstore"
        try GenerationWriter(creating: path, number: 2, origin: .engine).release()
        #expect(throws: SealCodeError.unsealed(path: path)) { try SealCode.write(of: path, key: ground.key) }
        #expect(throws: SealCodeError.self) { try SealCode.write(of: ground.store, key: SealKey(file: "/no/such")) }
    }

    @Test("A key file is 16 to 4096 bytes, regular, and no link", arguments: [0, 1, 15, 16, 32, 4096, 4097, 10000])
    func keys(count: Int) throws {
        let ground = try Ground()
        let path = ground.path + "/key"
        try Data((0..<count).map { UInt8(truncatingIfNeeded: $0) }).write(to: URL(filePath: path))
        var found: SealKey?
        do throws(SealCodeError) { found = try SealKey(file: path) } catch {
            #expect(error.description.hasPrefix(path + ": found "))
        }
        #expect((found != nil) == SealKey.byteCounts.contains(count))
        #expect(throws: SealCodeError.unreadable(path: "/no/such", errno: 2)) { _ = try SealKey(file: "/no/such") }
        #expect(throws: SealCodeError.self) { _ = try SealKey(file: "/dev/zero") }
        try FileManager.default.createSymbolicLink(atPath: path + "2", withDestinationPath: path)
        #expect(throws: SealCodeError.self) { _ = try SealKey(file: path + "2") }
    }

    @Test("A code that cannot be written says so and leaves nothing")
    func unwritable() throws {
        let ground = try Ground()
        try FileManager.default.removeItem(atPath: ground.store + ".hmac")
        try FileManager.default.createDirectory(atPath: ground.store + ".hmac", withIntermediateDirectories: false)
        #expect(throws: SealCodeError.self) { try SealCode.write(of: ground.store, key: ground.key) }
        #expect(
            try FileManager.default.contentsOfDirectory(atPath: ground.path).sorted() == [
                "1.domstore", "1.domstore.hmac",
            ])
    }
}
