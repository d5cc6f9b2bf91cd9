import Foundation
import IOMMUModel
import Snapshot
import Testing

@testable import Store

/// A small sealed generation with one thing of its bytes changed: it is refused, a defect is told, or nothing that it holds
/// has changed. Never a trap.
///
/// | variable | |
/// |---|---|
/// | `DOMSTORE_FLIP_SECONDS` | the time for flips; 12 without |
/// | `DOMSTORE_FLIPS=all` | every bit of every byte, however long that takes (`.ci/soak`) |
/// | `DOMSTORE_SEED` | the offset and order of an earlier run |
@Suite("Flipped bytes, swapped pages, cut ends")
struct FlipTests {
    /// What an intact file holds.
    struct Truth: Sendable {
        let bytes: [UInt8]
        let snapshot: Snapshot
        let events: [Event]
        let seal: SealReceipt

        init() throws {
            bytes = try [UInt8](Data(contentsOf: URL(filePath: GoldenStoreTests.path)))
            let reader = try GenerationReader(path: GoldenStoreTests.path)
            snapshot = try reader.snapshot()
            events = try reader.events()
            let found = reader.seal?.receipt
            seal = try #require(found)
        }
    }

    enum Outcome { case refused, told, harmless }

    /// Counts of one run.
    struct Tally: CustomStringConvertible {
        var refused = 0
        var told = 0
        var harmless = 0
        var count: Int { refused + told + harmless }
        mutating func add(_ outcome: Outcome) {
            switch outcome {
            case .refused: refused += 1
            case .told: told += 1
            case .harmless: harmless += 1
            }
        }
        static func + (a: Tally, b: Tally) -> Tally {
            Tally(refused: a.refused + b.refused, told: a.told + b.told, harmless: a.harmless + b.harmless)
        }
        var description: String { "\(count): \(refused) refused, \(told) told as defects, \(harmless) harmless" }
    }

    /// Reads `bytes` as a generation. `nil`: taken for good, with another content.
    static func outcome(_ bytes: [UInt8], _ truth: Truth, at path: String) throws -> Outcome? {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        try #require(file >= 0)
        let written = bytes.withUnsafeBytes { write(file, $0.baseAddress, $0.count) }
        close(file)
        try #require(written == bytes.count)
        do throws(StoreError) {
            let reader = try GenerationReader(path: path)
            let (snapshot, defects) = reader.snapshotAndDefects()
            if !defects.isEmpty { return .told }
            let events = try reader.events()
            let seal = reader.seal?.receipt
            let isSame = snapshot == truth.snapshot && events == truth.events && seal == truth.seal
            return isSame ? .harmless : nil
        } catch { return .refused }
    }

    private static var environment: [String: String] { ProcessInfo.processInfo.environment }

    /// Where files of this suite are: in memory, where there is such a place.
    private static func folder() throws -> String {
        let parent = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
        let path = "\(parent)/domstore-flips-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        return path
    }

    @Test("Every 7th byte by three masks, or every bit")
    func flips() async throws {
        let truth = try Truth()
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let isWhole = Self.environment["DOMSTORE_FLIPS"] == "all"
        let seconds = Double(Self.environment["DOMSTORE_FLIP_SECONDS"] ?? "") ?? 12
        let seed = UInt64(Self.environment["DOMSTORE_SEED"] ?? "") ?? UInt64(Date().timeIntervalSince1970)
        let masks: [UInt8] = isWhole ? (0..<8).map { 1 << $0 } : [0x01, 0x80, 0xff]
        let step = isWhole ? 1 : 7
        var offsets = Array(stride(from: Int(seed % UInt64(step)), to: truth.bytes.count, by: step))
        // In an order of the seed's: a run that its time ends has seen all parts of the file.
        var state = seed | 1
        for index in offsets.indices.dropLast() {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            offsets.swapAt(index, index + Int(state >> 33) % (offsets.count - index))
        }
        let clock = ContinuousClock()
        let budget = Duration.milliseconds(isWhole ? Int.max >> 20 : Int(seconds * 1000))
        let order = offsets
        let tally = try await withThrowingTaskGroup(of: Tally.self) { group in
            for worker in 0..<2 {
                group.addTask {
                    var tally = Tally()
                    var bytes = truth.bytes
                    // From here on: other tests may have had the threads.
                    let end = clock.now + budget
                    for offset in stride(from: worker, to: order.count, by: 2).map({ order[$0] }) {
                        for mask in masks where clock.now < end {
                            bytes[offset] ^= mask
                            defer { bytes[offset] ^= mask }
                            guard let outcome = try Self.outcome(bytes, truth, at: "\(folder)/\(worker)") else {
                                Issue.record("seed \(seed): byte \(offset) ^ \(mask) is taken for good, and is not")
                                continue
                            }
                            tally.add(outcome)
                        }
                    }
                    return tally
                }
            }
            return try await group.reduce(Tally(), +)
        }
        let all = order.count * masks.count
        print(
            "flips, seed \(seed), first byte \(seed % UInt64(step)), every \(step). of \(truth.bytes.count): \(tally) of \(all)"
        )
        #expect(tally.refused > 0 && tally.told > 0 && tally.harmless > 0)
        #expect(tally.count <= all && (!isWhole || tally.count == all))
    }

    @Test("Pages in another order, or one twice")
    func pages() throws {
        let truth = try Truth()
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let count = truth.bytes.count / 4096
        var tally = Tally()
        for first in 0..<count {
            for second in first + 1..<count {
                let (a, b) = (first * 4096..<first * 4096 + 4096, second * 4096..<second * 4096 + 4096)
                let (one, other) = (truth.bytes[a], truth.bytes[b])
                if one == other { continue }
                for change in 0..<3 {
                    // Thrown together in a debug build: each pair by one of the three ways.
                    guard change == (first + second) % 3 else { continue }
                    var bytes = truth.bytes
                    if change != 1 { bytes.replaceSubrange(a, with: other) }
                    if change != 2 { bytes.replaceSubrange(b, with: one) }
                    let outcome = try Self.outcome(bytes, truth, at: folder + "/p")
                    #expect(outcome != nil, "pages \(first) and \(second), way \(change)")
                    if let outcome { tally.add(outcome) }
                }
            }
        }
        print("pages: \(tally)")
        #expect(tally.refused > 0 && tally.told > 0)
    }

    @Test("Cut or grown ends, with and without a header that agrees")
    func ends() throws {
        let truth = try Truth()
        let folder = try Self.folder()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var tally = Tally()
        let pages = truth.bytes.count / 4096
        let lengths: [Int] = (0...pages).flatMap { page -> [Int] in
            let end = page * 4096
            return [end - 1, end, end + 1, end + 2048]
        }
        for length in lengths where length >= 0 && length < truth.bytes.count {
            let outcome = try Self.outcome(Array(truth.bytes[..<length]), truth, at: folder + "/t")
            #expect(outcome == .refused, "\(length) bytes")
        }
        for kept in 1..<pages {
            var bytes = Array(truth.bytes[..<(kept * 4096)])
            bytes.replaceSubrange(28..<32, with: [0, 0, UInt8(kept >> 8), UInt8(kept & 255)])
            let outcome = try Self.outcome(bytes, truth, at: folder + "/t")
            #expect(outcome == .refused || outcome == .told, "\(kept) pages")
            if let outcome { tally.add(outcome) }
        }
        // A page more than the header counts, then counted.
        var longer = truth.bytes + [UInt8](repeating: 0xff, count: 4096)
        #expect(try Self.outcome(longer, truth, at: folder + "/t") == .refused)
        longer.replaceSubrange(28..<32, with: [0, 0, UInt8((pages + 1) >> 8), UInt8((pages + 1) & 255)])
        #expect(try Self.outcome(longer, truth, at: folder + "/t") == .harmless)
        print("ends: \(tally)")
    }

    @Test("The comparison sees a file that is sound and holds something else")
    func negative() throws {
        let truth = try Truth()
        let folder = try Folder()
        var snapshot = truth.snapshot
        snapshot.devices[0].driver += "x"
        var writer = try GenerationWriter(creating: folder["a"], number: 1, origin: .engine)
        _ = try writer.seal(snapshot, nonce: truth.seal.nonce, events: truth.events)
        try writer.release()
        let bytes = try [UInt8](Data(contentsOf: URL(filePath: folder["a"])))
        #expect(try Self.outcome(bytes, truth, at: folder["b"]) == nil)
    }
}
