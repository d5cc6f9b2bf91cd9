import Foundation
import IOMMUModel
import Snapshot
import Testing

@testable import Store

@Suite("Pre-copy, and a seal of what changed")
struct PrecopyTests {
    private static let nonce = HandoverNonce(high: 3, low: 4)

    @Test("Any number of passes and a seal hold what one whole seal holds", arguments: 0..<16 as Range<UInt64>)
    func passes(seed: UInt64) throws {
        let folder = try Folder()
        var writer = try GenerationWriter(creating: folder["1"], number: 1, origin: .engine)
        var told = Snapshot(origin: .engine)
        for pass in 0..<seed % 5 {
            let now = SnapshotMaker(seed: seed * 10 + pass).make(size: Int((seed * 7 + pass * 13) % 50))
            try writer.precopy(
                SnapshotChanges(from: told, to: now), events: [GenerationTests.event(pass + 1)])
            told = now
        }
        let last = SnapshotMaker(seed: seed).make(size: Int(seed) * 3)
        _ = try writer.seal(
            SnapshotChanges(from: told, to: last), nonce: Self.nonce, events: [GenerationTests.event(99, .phase)])
        try writer.release()
        let reader = try GenerationReader(path: folder["1"])
        #expect(reader.defects().map(\.description) == [])
        #expect(try reader.snapshot() == last)
        #expect(try reader.events().count == Int(seed % 5) + 1)
    }

    /// How many rows a pass writes after `change`.
    private func told(
        _ state: inout Snapshot, _ writer: inout GenerationWriter, _ change: (inout Snapshot) -> Void
    ) throws -> Int {
        let former = state
        change(&state)
        try writer.precopy(SnapshotChanges(from: former, to: state))
        return writer.rows.changed
    }

    @Test("Changes of rows: to the same, of one, of none; the manifest goes along")
    func rows() throws {
        let folder = try Folder()
        var writer = try GenerationWriter(creating: folder["1"], number: 1, origin: .engine)
        var state = SnapshotMaker(seed: 4).make(size: 100)
        try #require(state.areas.count == 6000 && state.tablePages[0].pages.count == 700)
        let nothing = Snapshot(origin: .engine)
        try writer.precopy(SnapshotChanges(from: nothing, to: state))
        // Beside what was written there are the generation and its feature.
        #expect(writer.rows.changed + 2 == writer.rows.all)
        let all = writer.rows.all
        try writer.precopy(SnapshotChanges(from: nothing, to: state))
        #expect(writer.rows == (0, all))
        var changed: [Int] = []
        changed.append(try told(&state, &writer) { _ in })
        changed.append(
            try told(&state, &writer) {
                $0.areas[3000].protection = $0.areas[3000].protection.symmetricDifference(.readWrite)
            })
        changed.append(try told(&state, &writer) { $0.areas.remove(at: 5999) })
        changed.append(try told(&state, &writer) { $0.sessions[0].name = "other" })
        changed.append(try told(&state, &writer) { $0.units[0].registers[0].value = 5 })
        changed.append(try told(&state, &writer) { $0.attachments[50].entryAddress = PhysicalAddress(0x8000) })
        changed.append(try told(&state, &writer) { $0.tablePages[0].pages = $0.tablePages[0].pages.edited(at: 400) })
        #expect(changed == [0, 1, 1, 1, 1, 1, 1])
        #expect(writer.rows.all == all)
        // A page more in each of the first row's gaps, until it is cut in two.
        let before = state.tablePages[0].pages
        changed.append(try told(&state, &writer) { $0.tablePages[0].pages = before.doubled(upTo: 100) })
        #expect(changed.last == 2 && writer.rows.all == all + 1)
        // And back: what is left of both fits into one, if it fits into half of one.
        changed.append(try told(&state, &writer) { $0.tablePages[0].pages = before.without(Set(60..<225)) })
        #expect(changed.last == 2 && writer.rows.all == all)
        // Everything but a row's worth goes.
        _ = try told(&state, &writer) { $0.areas.removeFirst(5000) }
        _ = try told(&state, &writer) { $0.tablePages = [] }
        _ = try writer.seal(SnapshotChanges(from: state, to: state), nonce: nil)
        #expect(writer.rows.changed == 0)
        try writer.release()
        let reader = try GenerationReader(path: folder["1"])
        #expect(reader.defects().map(\.description) == [])
        #expect(try reader.snapshot() == state)
    }

    @Test("A pass that fails changes nothing, neither the file nor what the writer believes of it")
    func failure() throws {
        let folder = try Folder()
        var writer = try GenerationWriter(creating: folder["1"], number: 1, origin: .engine)
        let first = SnapshotMaker(seed: 1).make(size: 60)
        let second = SnapshotMaker(seed: 2).make(size: 30)
        try writer.precopy(SnapshotChanges(from: Snapshot(origin: .engine), to: first))
        let rows = writer.rows
        for damage: (inout Snapshot) -> Void in [
            { $0.areas[$0.areas.count - 1].protection = Protection(rawValue: 0x40) },
            { $0.attachments[0].domain = DomainID(77) }, { $0.hwpts[0].ioas = IOASID(99) },
            { $0.domains[0].parent = DomainID(99) },
        ] {
            var bad = second
            damage(&bad)
            #expect(throws: StoreError.self) { try writer.precopy(SnapshotChanges(from: first, to: bad)) }
            #expect(writer.rows == rows)
        }
        try writer.precopy(SnapshotChanges(from: first, to: second))
        _ = try writer.seal(SnapshotChanges(from: second, to: first), nonce: Self.nonce)
        #expect(throws: StoreError.alreadySealed(number: 1)) {
            try writer.precopy(SnapshotChanges(from: first, to: second))
        }
        try writer.release()
        let reader = try GenerationReader(path: folder["1"])
        #expect(reader.defects().map(\.description) == [])
        #expect(try reader.snapshot() == first)
    }

    @Test("A crash in a pass or in the seal after it leaves the generation open, with what the pass before wrote")
    func crash() throws {
        let folder = try Folder()
        let (first, second) = (SnapshotMaker(seed: 5).make(size: 40), SnapshotMaker(seed: 6).make(size: 70))
        var writer = try GenerationWriter(creating: folder["1"], number: 1, origin: .engine)
        try writer.precopy(SnapshotChanges(from: Snapshot(origin: .engine), to: first))
        try writer.precopy(SnapshotChanges(from: first, to: second), events: [GenerationTests.event(1)]) {
            try? CutOffTests.copy(folder["1"], to: folder["pass"])
        }
        _ = try writer.seal(SnapshotChanges(from: second, to: first), nonce: Self.nonce) {
            try? CutOffTests.copy(folder["1"], to: folder["seal"])
        }
        try writer.release()
        for (name, state, events) in [("pass", first, 0), ("seal", second, 1)] {
            let reader = try GenerationReader(path: folder[name])
            #expect(reader.seal == nil)
            #expect(reader.defects().map(\.description) == [])
            #expect(try reader.snapshot() == state)
            #expect(try reader.events().count == events)
        }
    }
}

extension PageSet {
    /// With one word of page `place` otherwise.
    func edited(at place: Int) -> PageSet {
        rebuilt { index, words in
            if index == place { words[7] ^= 8 }
            return 1
        }
    }

    /// With a copy of each of the first `count` pages beside it, at an address between it and the next one where there is
    /// one, at another level otherwise.
    func doubled(upTo count: Int) -> PageSet { rebuilt { index, _ in index < count ? 2 : 1 } }

    func without(_ places: Set<Int>) -> PageSet { rebuilt { index, _ in places.contains(index) ? 0 : 1 } }

    private func rebuilt(_ body: (Int, UnsafeMutablePointer<UInt64>) -> Int) -> PageSet {
        var result = PageSet()
        let words = UnsafeMutablePointer<UInt64>.allocate(capacity: 512)
        defer { words.deallocate() }
        for (index, entry) in entries.enumerated() {
            decode(index, into: words)
            for copy in 0..<body(index, words) {
                result.append(address: entry.address, level: entry.level + UInt8(copy) * 8, words: words)
            }
        }
        return result
    }
}
