import Foundation
import IOMMUModel
import SQLite
import Snapshot
import Testing

@testable import Store

/// Two processes at one store: an engine, and one that looks on or wants to be an engine too.
@Suite("Two processes at one store")
struct PollingTests {
    /// What generation `number` holds.
    static func snapshot(_ number: UInt64) -> Snapshot { Operation.snapshot(number % 4, size: 4) }

    static func wait(for path: String) async throws {
        while !FileManager.default.fileExists(atPath: path) { try await Task.sleep(for: .milliseconds(5)) }
    }

    static func make(_ path: String, _ text: String = "") {
        _ = FileManager.default.createFile(atPath: path, contents: Data(text.utf8))
    }

    @Test("A second engine on the same file is refused, and so is a reader, until it is released")
    func secondEngine() async throws {
        let folder = try Folder()
        let path = folder.path
        var writer = try StoreLocation(path).create(number: 1)
        try writer.append([Operation.event(1)])
        await #expect(processExitsWith: .success) { [path = path as String] in
            let location = try StoreLocation(path)
            let file = location.path(of: 1)
            #expect(throws: StoreError.heldByEngine(path: file)) {
                let second = try location.create(number: 1)
                try second.append([Operation.event(2)])
            }
            #expect(throws: StoreError.heldByEngine(path: file)) { _ = try GenerationReader(path: file).header }
            #expect(try location.generations().map(\.state) == [.held])
            // Not even SQLite by itself gets at it.
            let connection = try Connection(path: file, flags: [.readWrite])
            #expect(throws: SQLiteError.self) { try connection.execute("BEGIN IMMEDIATE") }
            #expect(throws: SQLiteError.self) { _ = try connection.integer("SELECT count(*) FROM event") }
        }
        try writer.append([Operation.event(2)])
        _ = try writer.seal(Self.snapshot(1), nonce: nil)
        try writer.release()
        await #expect(processExitsWith: .success) { [path = path as String] in
            let reader = try GenerationReader(path: StoreLocation(path).path(of: 1))
            #expect(try reader.events().count == 2)
            #expect(reader.defects() == [])
        }
    }

    /// Seals generation `number` and says how long the seal took, in milliseconds.
    static func seal(_ number: UInt64, in path: String) throws -> Double {
        let clock = ContinuousClock()
        var writer = try StoreLocation(path).create(number: number)
        try writer.append([Operation.event(1)])
        let snapshot = snapshot(number)
        let began = clock.now
        _ = try writer.seal(snapshot, nonce: nil, events: [Operation.event(2, .phase)])
        let took = (clock.now - began) / .milliseconds(1)
        try writer.release()
        return took
    }

    /// Reads the newest sealed generation over and over until it is told to stop: how often, and what was wrong.
    static func poll(_ path: String) throws -> (reads: Int, newest: Set<UInt64>, problems: [String]) {
        var reads = 0
        var newest: Set<UInt64> = []
        var problems: [String] = []
        let location = try StoreLocation(path)
        let known = (0..<4).map { snapshot($0) }
        while !FileManager.default.fileExists(atPath: path + "/stop") {
            do throws(StoreError) {
                let reader = try GenerationReader(path: try location.resolve())
                let (found, defects) = reader.snapshotAndDefects()
                let number = reader.header.number
                guard defects.isEmpty, reader.seal != nil, found == known[Int(number % 4)],
                    try reader.events().count == 2
                else {
                    problems.append("generation \(number) is torn: \(defects)")
                    continue
                }
                if let before = newest.max(), number < before { problems.append("\(number) after \(before)") }
                newest.insert(number)
                reads += 1
            } catch {
                if case .noSealedGeneration = error { continue }
                if case .emptyDirectory = error { continue }
                problems.append(error.description)
            }
        }
        return (reads, newest, problems)
    }

    @Test("A reader that polls while an engine seals 200 generations sees none torn and delays no seal")
    func polling() async throws {
        let folder = try Folder()
        let path = folder.path
        let alone = try Folder()
        async let child: Void = {
            await #expect(processExitsWith: .success) { [path = path as String] in
                PollingTests.make(path + "/ready")
                let (reads, newest, problems) = try PollingTests.poll(path)
                let text = (["\(reads)", "\(newest.count)"] + problems).joined(separator: "\n")
                PollingTests.make(path + "/result", text)
            }
        }()
        try await Self.wait(for: path + "/ready")
        // In turn, while the reader goes on: both have the same processor and disk, and the reader's locks only one.
        var polled: [Double] = []
        var unread: [Double] = []
        for number: UInt64 in 1...200 {
            polled.append(try Self.seal(number, in: path))
            unread.append(try Self.seal(number, in: alone.path))
        }
        polled.sort()
        unread.sort()
        Self.make(path + "/stop")
        await child
        let result = try String(contentsOfFile: path + "/result", encoding: .utf8).split(separator: "\n")
        let reads = try #require(Int(result[0]))
        let problems = result.dropFirst(2)
        func text(_ times: [Double]) -> String {
            String(format: "%.2f ms, 99 %% below %.2f ms", times[times.count / 2], times[times.count * 99 / 100])
        }
        print(
            """
            polling reader: \(reads) whole reads of \(result[1]) generations, \(problems.count) problems; median seal of \
            200: \(text(polled)) polled, \(text(unread)) in turn in a directory that nobody reads
            """)
        #expect(reads >= 100)
        #expect(problems.prefix(5) == [])
        #expect(polled[100] < 2 * unread[100] + 1)
    }
}
