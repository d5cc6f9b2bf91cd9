import Digest
import Foundation
import IOMMUModel
import Snapshot
import Testing

@testable import Store

/// `Fixtures/store/reader.py` was written after Schema/FORMAT.md alone: where both read the same, the page says enough.
@Suite struct ForeignReaderTests {
    private static func run(_ path: String) throws -> (status: Int32, output: String, errors: String) {
        let python = Process()
        python.executableURL = URL(filePath: "/usr/bin/env")
        python.arguments = ["python3", Fixture.path("store/reader.py"), path]
        let (output, errors) = (Pipe(), Pipe())
        (python.standardOutput, python.standardError) = (output, errors)
        try python.run()
        let lines = output.fileHandleForReading.readDataToEndOfFile()
        let complaint = errors.fileHandleForReading.readDataToEndOfFile()
        python.waitUntilExit()
        return (
            python.terminationStatus, String(decoding: lines, as: UTF8.self), String(decoding: complaint, as: UTF8.self)
        )
    }

    /// What the script has to print.
    private static func lines(_ path: String) throws -> String {
        func hex(_ value: UInt64) -> String {
            let digits = String(value, radix: 16)
            return String(repeating: "0", count: 16 - digits.count) + digits
        }
        let reader = try GenerationReader(path: path)
        let snapshot = try reader.snapshot()
        let sealed = reader.seal
        let seal = try #require(sealed)
        var lines = ["seal \(seal.generation):\(seal.root)"]
        for area in snapshot.areas {
            lines.append(
                "area \(area.ioas.rawValue) \(hex(area.range.first.rawValue)) \(hex(area.range.last.rawValue)) "
                    + "\(area.backing.rawValue) \(hex(area.offset)) \(area.protection.rawValue)")
        }
        func add(_ kind: String, _ owner: UInt32, _ pages: PageSet) {
            var words = [UInt64](repeating: 0, count: 512)
            for (index, entry) in pages.entries.enumerated() {
                pages.decode(index, into: &words)
                let sum = words.map(\.littleEndian).withUnsafeBytes { XXH64.hash($0) }
                lines.append("\(kind) \(owner) \(hex(entry.address.rawValue)) \(entry.level) \(hex(sum))")
            }
        }
        for domain in snapshot.tablePages { add("table", domain.domain.rawValue, domain.pages) }
        for unit in snapshot.lookupPages { add("lookup", unit.unit.rawValue, unit.pages) }
        return lines.joined(separator: "\n") + "\n"
    }

    private static func check(_ path: String, _ expected: String) throws {
        let found = try run(path)
        #expect(found.status == 0 && found.errors == "", "\(found.errors)")
        let (ours, theirs) = (expected.split(separator: "\n"), found.output.split(separator: "\n"))
        let first = zip(ours, theirs).first { $0 != $1 }.map { "\($0), the script: \($1)" }
        #expect(first == nil && ours.count == theirs.count, "\(first ?? "")")
    }

    @Test func `the golden store is read by the page alone`() throws {
        try Self.check(GoldenStoreTests.path, Self.lines(GoldenStoreTests.path))
    }

    @Test func `version 1 is read by the page alone as what its migration reads like`() throws {
        let folder = try Folder()
        let outcome = try Migrator.migrate(GoldenStoreTests.path(of: 1), to: folder["a"])
        let (old, new) = (try #require(outcome.oldSeal), try #require(outcome.newSeal))
        let lines = try Self.lines(folder["a"])
        #expect(lines.hasPrefix("seal 1:\(new.root)\n"))
        try Self.check(
            GoldenStoreTests.path(of: 1), lines.replacing("seal 1:\(new.root)\n", with: "seal 1:\(old.root)\n"))
    }

    @Test(arguments: [1, 2, 3] as [UInt64])
    func `a random state is read by the page alone, and a changed byte is found by it`(seed: UInt64) throws {
        let folder = try Folder()
        let path = folder["1.domstore"]
        var writer = try GenerationWriter(creating: path, number: seed, origin: .engine)
        _ = try writer.seal(
            SnapshotMaker(seed: seed).make(size: 60), nonce: seed == 2 ? nil : .init(high: 1, low: seed))
        try writer.release()
        try Self.check(path, Self.lines(path))

        // A record in the middle of a chunk of areas.
        var bytes = try Data(contentsOf: URL(filePath: path))
        let area = try #require(try GenerationReader(path: path).snapshot().areas.last)
        let place = try #require(
            bytes.lastRange(of: withUnsafeBytes(of: area.offset.bigEndian) { Data($0) })
        ).lowerBound
        bytes[place + 6] ^= 0x10
        try CutOffTests.setMode(0o644, of: path)
        try bytes.write(to: URL(filePath: path))
        let damaged = try Self.run(path)
        #expect(damaged.status == 1 && damaged.errors.contains("area_chunk: checksum"), "\(damaged.errors)")
    }
}
