import Engine
import Foundation
import Handover
import IOMMUModel
import Import
import Restore
import Snapshot
import Store
import Testing

@testable import Replay
@testable import Scenario

/// Engines done again from their events: the same answers, the same ids, the same bytes.
@Suite("A replay of the events arrives at the same bytes")
struct ReplayTests {
    /// The machine of a scenario as its first engine found it, with what guests write in the end.
    static func start(_ scenario: ScenarioFile) throws -> ReplayStart {
        let machine = try HandoverRun(.init(store: "")).machine(of: scenario)
        let files = Dictionary(scenario.machine.memoryFiles.map { ($0.id, $0) }) { first, _ in first }
        for case .write(let file, let offset, let value) in scenario.steps.map(\.operation) {
            guard let place = files[file]?.base.offset(by: offset) else { continue }
            _ = machine.memory.setWord(value, at: place)
        }
        return .idle(machine)
    }

    /// No start at all: the generation must have a parent.
    static func parentOnly(_ header: GenerationHeader) throws(ReplayError) -> ReplayStart {
        throw .noStart("no parent")
    }

    /// What a replay of the first generation has to come to.
    enum Fate: Hashable {
        case sealed
        /// The old kernel never came so far.
        case open
        /// The file, or memory before the seal, was changed by nobody whose events are there: no rule of the store sees that,
        /// the replay does.
        case forged(String)
        /// Nothing that this version can read.
        case unreadable
        /// The engine had a bug that the replaying one has not.
        case diverges
    }

    static func fate(_ scenario: ScenarioFile) -> Fate {
        for change in scenario.tamper {
            switch change.change {
            case .area, .areaGone: return .forged("area")
            case .attachment, .attachmentGone, .cacheTag: return .forged("attachment")
            case .recordedPage: return .forged("table_page")
            case .feature: return .unreadable
            case .leaf, .tablePage, .lookupEntry: continue
            }
        }
        if !scenario.damage.isEmpty { return .forged("table_page") }
        if scenario.defect == .lateImmutability { return .diverges }
        let isStopped = [.keepEntries, .forgetAliases].contains(scenario.defect)
        return scenario.expect?.verdict == HandoverReport.aborted || scenario.jump == .beforeSeal || isStopped
            ? .open : .sealed
    }

    /// Where the restore looks, it finds something else than the sealed record says, which a replay starts from.
    static func isDifferent(_ scenario: ScenarioFile) -> Bool {
        !scenario.next.isEmpty
            || scenario.tamper.contains { if case .lookupEntry = $0.change { true } else { false } }
    }

    @Test("Every generation of every scenario", arguments: ScenarioFileTests.files)
    func scenarios(file: String) throws {
        let scenario = try ScenarioFile.read(ScenarioFileTests.bytes(file), file: file)
        try ScenarioRunTests.inFolder { folder in
            _ = try HandoverRun.run(scenario, options: ScenarioRunTests.options(folder))
            let location = try StoreLocation(folder)
            let start = try Self.start(scenario)
            func first(_ number: UInt64 = 1) throws -> GenerationReplay.Outcome {
                try GenerationReplay.run(number, in: location) { _ in start }
            }
            let fate = Self.fate(scenario)
            switch fate {
            case .forged(let part): #expect(throws: ReplayError.state([part])) { try first() }
            case .unreadable, .diverges: #expect(throws: ReplayError.self) { try first() }
            case .sealed, .open:
                let outcome = try first()
                #expect(outcome.isSealed == (fate == .sealed) && outcome.generations == [1])
                let silent = ["dma", "write", "pre-copy"]
                #expect(outcome.events > scenario.steps.count(where: { !silent.contains($0.name) }))
            }
            let numbers = fate == .unreadable ? [1] : try location.generations().map(\.number)
            let hasNext = fate == .sealed || scenario.tamper.contains { !$0.isOfMemory } || !scenario.damage.isEmpty
            guard hasNext, scenario.jump != .powerLoss, fate != .unreadable else { return #expect(numbers == [1]) }
            #expect(numbers == (scenario.again ? [1, 2, 3] : [1, 2]))
            if scenario.jump == .fails {
                // One engine's life, in two files.
                let outcome = try first(2)
                #expect(outcome.generations == [1, 2] && !outcome.isSealed)
                return
            }
            // From a changed file the restore went another way than the engine before it.
            if case .forged = fate, scenario.damage.isEmpty { return }
            for number in numbers.dropFirst() {
                guard !Self.isDifferent(scenario) else {
                    #expect(throws: ReplayError.self) {
                        _ = try GenerationReplay.run(number, in: location, start: Self.parentOnly)
                    }
                    continue
                }
                let outcome = try GenerationReplay.run(number, in: location, start: Self.parentOnly)
                #expect(outcome.isSealed == (number < numbers.count) && outcome.events > 5)
            }
        }
    }

    @Test("The handover of a real kernel's image", arguments: ["vtd48", "vtdpasid", "amdv1", "smmuv3s2"])
    func image(name: String) throws {
        func read() throws -> MachineImage {
            try MachineImage(
                file: SeveralTagsTests.images + name + ".elf",
                metadata: try ImageMetadata(file: SeveralTagsTests.images + name + ".json"))
        }
        try ScenarioRunTests.inFolder { folder in
            var options = ScenarioRunTests.options(folder)
            options.pagesPerDevice = 50
            options.lab = true
            _ = try HandoverRun.run(try read(), options: options)
            let location = try StoreLocation(folder)
            let image = try read()
            let snapshot = try Importer.importMachine(image, options: ImportOptions())
            let machine = try HandoverRun(options).machine(of: image, snapshot)
            #expect(try GenerationReplay.run(1, in: location) { _ in .running(snapshot, machine) }.isSealed)
            #expect(try GenerationReplay.run(2, in: location, start: Self.parentOnly).events > 20)
        }
    }

    /// What a random engine told, and the state it was frozen in.
    struct History {
        var events: [Event] = []
        var snapshot: Snapshot
    }

    static func history(_ flavours: [FlavouredMachine.Flavour], seed: UInt64) throws -> History {
        let buffer = EventBuffer()
        var engine = try LiveEngine.start(
            try RecorderTests.machine(flavours), configuration: EngineConfiguration(seed: seed), sink: buffer.append)
        var steps = RecorderTests.Steps(seed: seed, flavours)
        for device in engine.devices { try? engine.claimOwner(device.group, token: 7) }
        for number in 0..<8 {
            for _ in 0..<40 { steps.step(&engine) }
            engine.advanceTime(byNanoseconds: UInt64(number) * 1000)
            switch engine.freeze() {
            case .refused(let live, _): engine = live
            case .frozen(let frozen):
                guard number < 7 else { return History(events: buffer.events, snapshot: frozen.snapshot()) }
                engine = frozen.thaw()
            }
        }
        // Whatever a last freeze minds is let go.
        for session in engine.sessions { try engine.closeSession(session.id) }
        guard case .frozen(let frozen) = engine.freeze() else { throw ScenarioError.broken(what: "not frozen") }
        return History(events: buffer.events, snapshot: frozen.snapshot())
    }

    static func replay(_ events: [Event], at snapshot: Snapshot, _ flavours: [FlavouredMachine.Flavour]) throws {
        var replay = try EventReplay(from: .idle(try RecorderTests.machine(flavours)), events: events)
        try replay.run()
        #expect(replay.count == events.count)
        try replay.arrive(at: snapshot, nonce: nil)
    }

    @Test("Another nonce than the sealed one, and a generation that is not there, are told so")
    func refusals() throws {
        let history = try Self.history([.legacy], seed: 1)
        var replay = try EventReplay(from: .idle(try RecorderTests.machine([.legacy])), events: history.events)
        try replay.run()
        let nonce = HandoverNonce(bytes: [UInt8](repeating: 7, count: 16))
        #expect(throws: ReplayError.nonce) { try replay.arrive(at: history.snapshot, nonce: nonce) }
        try ScenarioRunTests.inFolder { folder in
            _ = try StoreLocation.makeDirectory(folder)
            let location = try StoreLocation(folder)
            do throws(ReplayError) {
                _ = try GenerationReplay.run(9, in: location, start: Self.parentOnly)
                Issue.record("replayed")
            } catch {
                guard case .store = error else {
                    Issue.record("\(error)")
                    return
                }
            }
        }
    }

    @Test(
        "Random operations, most of which fail, freezes and thaws", arguments: RecorderTests.machines,
        RecorderTests.seeds)
    func random(flavours: [FlavouredMachine.Flavour], seed: UInt64) throws {
        let history = try Self.history(flavours, seed: seed)
        #expect(history.events.contains { $0.name == "thaw" })
        #expect(history.events.count { $0.errno != nil } > 50)
        #expect(Set(history.events.map(\.name)).count > 15)
        try Self.replay(history.events, at: history.snapshot, flavours)
    }

    @Test("One changed event, one left out, one more: it diverges there, or ends in another state")
    func controls() throws {
        let flavours: [FlavouredMachine.Flavour] = [.secondStage, .amdV2]
        let history = try #require(
            try (1...50).lazy.map { try Self.history(flavours, seed: $0) }.first { !$0.snapshot.areas.isEmpty })
        let events = history.events
        func places(_ name: String) -> [Int] {
            events.indices.filter { events[$0].name == name && events[$0].errno == nil }
        }
        // What no later answer depends on is missed by the answers, and seen by the state.
        let areas = Set(history.snapshot.areas.map { "\($0.ioas) \($0.range.first)" })
        let recorded = places("map").filter { areas.contains("\(events[$0]["ioas"]!) \(events[$0]["iova"]!)") }
        let last = try #require(recorded.last)
        var moved = events
        let offset = try #require(moved[last].arguments.firstIndex { $0.name == "offset" })
        let elsewhere = try #require(parseInteger(moved[last].arguments[offset].value)) ^ 0x100_0000
        moved[last].arguments[offset] = .init("offset", hex(elsewhere))
        #expect(throws: ReplayError.state(["area", "table_page"])) {
            try Self.replay(moved, at: history.snapshot, flavours)
        }
        for index in [
            places("attach").first, places("create-hwpt").last, places("map").first, places("preserve").first,
        ].compactMap(\.self) {
            var fewer = events
            fewer.remove(at: index)
            #expect(throws: ReplayError.self) { try Self.replay(fewer, at: history.snapshot, flavours) }
        }
        var late = events
        late[events.count / 2].timeNanoseconds += 1
        #expect(throws: ReplayError.self) { try Self.replay(late, at: history.snapshot, flavours) }
        var unknown = events
        unknown[20].kind = .operation
        unknown[20].name = "no-such-operation"
        #expect(throws: ReplayError.unreadable(unknown[20], "no such operation")) {
            try Self.replay(unknown, at: history.snapshot, flavours)
        }
        var other = history.snapshot
        other.attachments[0].cacheTag = 77
        #expect(throws: ReplayError.state(["attachment"])) { try Self.replay(events, at: other, flavours) }
    }

    @Test("An engine that thawed and went on in the next generation is replayed from its start, through both")
    func thawed() throws {
        try ScenarioRunTests.inFolder { folder in
            let flavours: [FlavouredMachine.Flavour] = [.secondStage]
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let location = try StoreLocation(folder)
            let buffer = EventBuffer()
            var engine = try LiveEngine.start(try RecorderTests.machine(flavours), sink: buffer.append)
            var steps = RecorderTests.Steps(seed: 9, flavours)
            for group in engine.groups { try? engine.claimOwner(group.id, token: 7) }
            var first = try location.create(number: 1)
            var recorder = SnapshotRecorder()
            for _ in 0..<5 {
                for _ in 0..<20 { steps.step(&engine) }
                try first.precopy(recorder.changes(of: &engine), events: buffer.take())
                recorder.commit()
            }
            guard case .frozen(var frozen) = engine.freeze() else { throw ScenarioError.broken(what: "not frozen") }
            let nonce = HandoverNonce(bytes: frozen.drawNonce())
            // These events are in both: they could have gone down with the seal.
            let journal = buffer.take()
            _ = try first.seal(recorder.changes(of: &frozen), nonce: nonce, events: journal)
            try first.release()
            engine = frozen.thaw()
            engine.note(.revoke, "revoke", [.init("generation", 1)])
            var second = try location.create(number: 2)
            try second.append(journal + buffer.take())
            for _ in 0..<20 { steps.step(&engine) }
            recorder = SnapshotRecorder()
            try second.precopy(recorder.changes(of: &engine), events: buffer.take())
            recorder.commit()
            guard case .frozen(var again) = engine.freeze() else { throw ScenarioError.broken(what: "not frozen") }
            let nextNonce = HandoverNonce(bytes: again.drawNonce())
            _ = try second.seal(recorder.changes(of: &again), nonce: nextNonce, events: buffer.take())
            try second.release()

            let machine = try RecorderTests.machine(flavours)
            let outcome = try GenerationReplay.run(2, in: location) { _ in .idle(machine) }
            #expect(outcome.generations == [1, 2] && outcome.isSealed && outcome.events > 100)
            // Without the first there is no start.
            try FileManager.default.removeItem(atPath: folder + "/1.domstore")
            #expect(throws: ReplayError.self) { _ = try GenerationReplay.run(2, in: location) { _ in .idle(machine) } }
        }
    }
}
