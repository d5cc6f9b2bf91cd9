import Engine
import Foundation
import Handover
import Hardware
import IOMMUModel
import Restore
import Snapshot
import Testing

@testable import Scenario

/// Random lives of machines, updates included, beside a model made from their events.
@Suite("Random scenarios agree with a naive model")
struct RandomScenarioTests {
    /// Each begins with a number of its own; `DOMSTORE_RANDOM_SCENARIOS` says how many, `DOMSTORE_SEED` is a single one.
    static let batches: [ClosedRange<UInt64>] = {
        func number(_ name: String) -> UInt64? {
            ProcessInfo.processInfo.environment[name].flatMap { parseInteger($0) }
        }
        if let seed = number("DOMSTORE_SEED") { return [seed...seed] }
        let count = number("DOMSTORE_RANDOM_SCENARIOS") ?? UInt64(RecorderTests.machines.count)
        return stride(from: 1, through: count, by: 50).map { $0...min($0 + 49, count) }
    }()

    /// What the lives of one batch came to.
    struct Tally {
        var steps = 0
        var jumps = 0
        var carried = 0
        var probes = 0
        var reached = 0
    }

    @Test("200 steps, invariants and DMA after each", arguments: batches)
    func lives(seeds: ClosedRange<UInt64>) throws {
        var tally = Tally()
        for seed in seeds {
            var life = try Life(seed)
            try life.run(&tally)
        }
        print(
            "random scenarios \(seeds): \(tally.steps) steps, \(tally.jumps) jumps with \(tally.carried) devices, "
                + "\(tally.probes) probes, \(tally.reached) answered with an address")
        #expect(tally.steps == seeds.count * 200 && tally.reached > 0)
        if seeds.count >= RecorderTests.machines.count { #expect(tally.jumps > 0 && tally.carried > 0) }
    }

    /// One machine from its first engine on.
    struct Life {
        let seed: UInt64
        var steps: RecorderTests.Steps
        var model: NaiveModel
        let machine: Machine
        let buffer = EventBuffer()
        var flavours: [FlavouredMachine.Flavour] { steps.flavours }

        init(_ seed: UInt64) throws {
            self.seed = seed
            let all = RecorderTests.machines
            let flavours = all[Int(seed % UInt64(all.count))]
            machine = try RecorderTests.machine(flavours)
            steps = RecorderTests.Steps(seed: seed, flavours)
            steps.shifts = [12, 12, 13, 15, 21]
            model = NaiveModel(machine)
        }

        mutating func run(_ tally: inout Tally) throws {
            let buffer = buffer
            var engine = try LiveEngine.start(machine, configuration: .init(seed: seed)) { buffer.append($0) }
            for device in engine.devices { try? engine.claimOwner(device.group, token: 7) }
            for number in 1...200 {
                engine = try update(engine, &tally)
                if steps.random.next() % 4 == 0 { claim(&engine) } else { steps.step(&engine) }
                let place = "seed \(seed) step \(number)"
                let events = buffer.take()
                for event in events { model.apply(event) }
                let problems = engine.checkInvariants()
                try #require(problems == [], "\(place): \(events.last?.name ?? "")")
                try probe(place, &tally)
                tally.steps += 1
            }
        }

        /// Now and then everything is frozen, and thaws, or jumps.
        private mutating func update(_ engine: consuming LiveEngine, _ tally: inout Tally) throws -> LiveEngine {
            guard steps.random.next() % 12 == 0 else { return engine }
            switch engine.freeze() {
            case .refused(let live, _): return live
            case .frozen(let frozen):
                let carried = Set(frozen.preserved.map(\.requester))
                guard steps.random.next() % 3 != 0, !carried.isEmpty else {
                    return frozen.thaw()
                }
                for event in buffer.take() { model.apply(event) }
                let snapshot = frozen.snapshot()
                _ = frozen.jump()
                model.jump(carrying: carried)
                try probe("seed \(seed), in the jump", &tally)
                tally.jumps += 1
                tally.carried += carried.count
                let buffer = buffer
                var restored = try Restorer.restore(
                    snapshot, machine: machine, configuration: .init(seed: steps.random.next())
                ) { buffer.append($0) }
                let states = Set(restored.devices.map(\.state))
                #expect(states.isSubset(of: [.restored, .kept]), "seed \(seed): \(restored.devices)")
                // What a restore does is no change of any translation.
                _ = buffer.take()
                try probe("seed \(seed), restored", &tally)
                steps.session = nil
                if steps.random.next() % 2 == 0 {
                    var claimer = Claimer(
                        snapshot, sessions: restored.sessions, attached: restored.domains, devices: carried)
                    _ = try claimer.claim(&restored.engine)
                    _ = try claimer.adopt(&restored.engine)
                    _ = try claimer.rebuild(&restored.engine)
                    #expect(claimer.compare(&restored.engine).differing.isEmpty)
                    let replaced = try claimer.replace(&restored.engine) { _ in }
                    #expect(replaced.refused.isEmpty, "seed \(seed): \(replaced.refused)")
                    try claimer.finish(&restored.engine)
                }
                return restored.engine
            }
        }

        /// Something that only concerns what came over.
        private mutating func claim(_ engine: inout LiveEngine) {
            let incoming = engine.sessions.filter(\.isIncoming).map(\.id)
            guard let session = steps.pick(incoming), let device = steps.pick(engine.devices)?.requester else {
                return steps.step(&engine)
            }
            switch steps.random.next() % 8 {
            case 0, 1: try? engine.claim(device, session: session)
            case 2, 3:
                if let token = steps.pick(engine.domains.compactMap(\.token)) {
                    _ = try? engine.adoptHWPT(token: token, session: session)
                }
            case 4: try? engine.abandon(session)
            case 5: try? engine.keepIdentity(device)
            case 6: try? engine.release(device)
            default: try? engine.finish(session)
            }
        }

        private mutating func probe(_ place: String, _ tally: inout Tally) throws {
            let window = IOMMUHardware.interruptWindow
            for device in machine.devices where device.isPowered {
                var keys: [AttachmentKey] = [AttachmentKey(device.requester)]
                keys += model.places.keys.filter { $0.requester == device.requester && $0.pasid != nil }.sorted()
                for key in keys {
                    guard let iova = iova(key), !window.contains(iova) else { continue }
                    let access: Access = steps.random.next() % 2 == 0 ? .read : .write
                    let outcome = machine.dma(key.requester, pasid: key.pasid, iova: iova, access: access)
                    let wanted = model.translate(key, iova, access)
                    tally.probes += 1
                    switch outcome {
                    case .address(let address):
                        try #require(
                            wanted == address.rawValue,
                            "\(place): \(key) \(access) at \(iova): \(outcome), expected \(wanted.map { hex($0) } ?? "-")"
                        )
                        tally.reached += 1
                    default:
                        try #require(
                            wanted == nil,
                            "\(place): \(key) \(access) at \(iova): \(outcome), expected \(wanted.map { hex($0) } ?? "-")"
                        )
                    }
                }
            }
        }

        /// Mostly in an area or one byte beside it.
        private mutating func iova(_ key: AttachmentKey) -> IOVA? {
            let roll = steps.random.next()
            guard roll % 8 != 0, let area = steps.pick(model.areas(of: key)) else { return IOVA(roll >> 26) }
            switch roll % 5 {
            case 0: return area.range.first
            case 1: return area.range.last
            case 2: return IOVA(area.range.first.rawValue &- 1)
            case 3: return IOVA(area.range.last.rawValue &+ 1)
            default: return IOVA(area.range.first.rawValue + roll % (area.range.lastOffset + 1))
            }
        }
    }
}
