import Foundation
import Store
import Testing

@testable import Evidence

/// What no meddling leads to: a wrong call, a file that cannot be written.
@Suite("Seal codes that are not made")
struct SealCodeErrorTests {
    private func error(_ body: () throws -> Void) -> SealCodeError? {
        do {
            try body()
            return nil
        } catch { return error as? SealCodeError }
    }

    @Test("A code is made for the seal that is meant, and not over another")
    func make() throws {
        let ground = try SealCodeTests.Ground()
        let reader = try GenerationReader(path: ground.store)
        let seal = reader.seal
        let expected = try #require(seal).receipt.expected
        let other = ExpectedSeal(generation: expected.generation + 1, root: expected.root)
        #expect(
            error { try SealCode.make(of: reader, expecting: other, key: ground.key) }
                == .otherSeal(path: ground.store, found: expected, expected: other))
        #expect(
            error { try SealCode.make(of: reader, expecting: expected, key: ground.key) }
                == .exists(path: ground.store + ".hmac"))
    }

    @Test("Not beside a journal that somebody left: what was read may not be what the file holds")
    func journal() throws {
        let ground = try SealCodeTests.Ground()
        try ground.put(Data(repeating: 0x5a, count: 512), "-journal")
        let reader = try GenerationReader(path: ground.store)
        let seal = reader.seal
        let expected = try #require(seal).receipt.expected
        #expect(
            error { try SealCode.make(of: reader, expecting: expected, key: ground.key) }
                == .journal(path: ground.store))
    }

    @Test("Where its file cannot be made, that is said")
    func unwritable() throws {
        let ground = try SealCodeTests.Ground()
        let temporary = ground.store + ".hmac.\(getpid()).tmp"
        try FileManager.default.createDirectory(atPath: temporary, withIntermediateDirectories: true)
        #expect(
            error { try SealCode.write(of: ground.store, key: ground.key) }
                == .unwritable(path: temporary, errno: EEXIST))
    }

    @Test("A key has 16 to 4096 bytes")
    func key() throws {
        let ground = try SealCodeTests.Ground()
        let path = ground.path + "/key"
        for count in [15, 4097] {
            try? FileManager.default.removeItem(atPath: path)
            try Data(repeating: 7, count: count).write(to: URL(filePath: path))
            guard case .notAKey(path, _) = error({ _ = try SealKey(file: path) }) else {
                Issue.record("a key of \(count) bytes")
                continue
            }
        }
    }
}
