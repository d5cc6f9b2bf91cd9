import Engine
import Foundation
import IOMMUModel
import Snapshot
import Store
import Testing

@testable import Handover
@testable import Scenario

/// A recorder that goes along with a random engine, beside the whole snapshot of the same engine.
@Suite("What a recorder tells, pass by pass, is the whole state")
struct RecorderTests {
    private static let pasids = [1, 63, 64, 0xfffff].map { PASID($0)! }
    private static let arena = PhysicalRange(first: PhysicalAddress(0x20_0000), bytes: 3000 << 12)!

    /// Two units, each with four devices of their own groups and two in one.
    static func machine(_ flavours: [FlavouredMachine.Flavour]) throws -> Machine {
        var devices: [MachineDevice] = []
        for (index, _) in flavours.enumerated() {
            for device in UInt8(1)...6 {
                devices.append(
                    MachineDevice(
                        requester: RequesterID(bus: UInt8(index * 0x20), device: device, function: UInt8(index))!,
                        unit: UnitID(UInt32(index + 1)), group: GroupID(UInt32(index * 8) + UInt32(min(device, 5))),
                        driver: "vfio-pci", pasidBits: 20))
            }
        }
        let handover = PhysicalAddress(0x10_0000)
        return try Machine(
            memory: try MachineMemory.anonymous([PhysicalRange(first: handover, bytes: 4096)!, arena]),
            ramRanges: [PhysicalRange(first: handover, bytes: 64 << 20)!], arenaRanges: [arena],
            handoverPage: handover, units: flavours.enumerated().map { $1.unit(UInt32($0 + 1)) }, devices: devices,
            reservedRegions: [
                ReservedRegion(
                    group: GroupID(4), kind: .direct, range: IOVARange(first: IOVA(0x8000_0000), bytes: 0x10000)!)
            ])
    }

    struct Steps {
        var random: SplitMix64
        let flavours: [FlavouredMachine.Flavour]
        var session: SessionID?
        /// Sizes of areas, as powers of two.
        var shifts: [UInt64] = [12, 12, 14, 16, 21, 24]

        private func one<T>(of values: [T]) -> T? { values.isEmpty ? nil : values[Int(roll % UInt64(values.count))] }
        private var roll: UInt64 = 0

        init(seed: UInt64, _ flavours: [FlavouredMachine.Flavour]) {
            random = SplitMix64(seed: seed)
            self.flavours = flavours
        }

        mutating func pick<T>(_ values: [T]) -> T? {
            roll = random.next()
            return one(of: values)
        }

        /// So many operations.
        mutating func run(_ count: Int, _ engine: inout LiveEngine) { for _ in 0..<count { step(&engine) } }

        /// One operation, whatever it answers.
        mutating func step(_ engine: inout LiveEngine) {
            let unit = UnitID(UInt32(1 + random.next() % UInt64(flavours.count)))
            let flavour = flavours[Int(unit.rawValue) - 1]
            let devices = engine.devices.filter { $0.unit == unit }
            guard let device = pick(devices) else { return }
            let pasid = random.next() % 3 == 0 && flavour.hasPASIDs ? pick(RecorderTests.pasids) : nil
            let ioas = pick(engine.ioases)?.id
            let hwpt = pick(engine.hwpts)?.id
            switch random.next() % 34 {
            case 0: _ = try? engine.createIOAS()
            case 1, 2:
                if let ioas, let made = try? engine.createHWPT(ioas: ioas, unit: unit, format: flavour.format) {
                    try? engine.mark(made, token: UInt64(made.rawValue))
                }
            case 3:
                if let hwpt, flavour.isNested,
                    let made = try? engine.createNestedHWPT(
                        parent: hwpt, unit: unit, root: PhysicalAddress(random.next() % 16 << 12))
                {
                    try? engine.mark(made, token: UInt64(made.rawValue))
                }
            case 4: if let hwpt { try? engine.destroyHWPT(hwpt) }
            case 5: if let ioas { try? engine.destroyIOAS(ioas) }
            case 6: _ = try? engine.addBacking(.memfd, base: PhysicalAddress(0x10_0000_0000), byteCount: 1 << 34)
            case 7, 8, 9, 10: map(&engine, ioas)
            case 11:
                if let ioas, let area = pick(engine.ioas(ioas)?.areas ?? []) {
                    _ = try? engine.unmap(
                        ioas: ioas, iova: area.range.first, byteCount: area.range.lastOffset + 1)
                }
            case 12: try? engine.claimOwner(device.group, token: 7)
            case 13: try? engine.releaseOwner(device.group)
            case 14: try? engine.attachIdentity(device.requester)
            case 15, 16: if let hwpt { try? engine.attach(device.requester, pasid: pasid, to: hwpt) }
            case 17: try? engine.detach(device.requester, pasid: pasid)
            case 18: if let hwpt { try? engine.replace(device.requester, pasid: pasid, with: hwpt) }
            case 19: if let hwpt { try? engine.mark(hwpt, token: UInt64(hwpt.rawValue)) }
            case 20: try? engine.quarantine(device.requester)
            case 21: try? engine.release(device.requester)
            case 22, 23, 24:
                if session == nil { session = try? engine.createSession("s\(random.next() % 100)") }
                if let session, random.next() % 16 == 0, let file = pick(engine.backings)?.id {
                    try? engine.preserveFile(file, in: session)
                }
                if let session { try? engine.preserve(device.requester, in: session, options: .init(lab: true)) }
            case 25: _ = try? engine.open(device.requester)
            case 26: try? engine.close(device.requester)
            case 27: try? engine.bindDriver("nvme", to: device.requester)
            case 28: if random.next() % 4 == 0 { try? engine.unbindDriver(device.requester) }
            case 29: try? engine.reset(device.requester, random.next() % 2 == 0 ? .function : .bus)
            case 30: if let hwpt { try? engine.setDirtyTracking(random.next() % 2 == 0, of: hwpt) }
            case 31: if let hwpt { try? engine.unmark(hwpt) }
            case 32:
                try? engine.discard(device.requester)
                try? engine.setPower(random.next() % 8 != 0, of: device.requester)
                try? engine.setInterrupts(random.next() % 8 == 0, of: device.requester)
            default:
                guard random.next() % 4 == 0, let session else {
                    try? engine.unpreserve(device.requester)
                    return
                }
                try? engine.closeSession(session)
                self.session = nil
            }
        }

        private mutating func map(_ engine: inout LiveEngine, _ ioas: IOASID?) {
            guard let ioas, let backing = pick(engine.backings)?.id else { return }
            let shift = pick(shifts)!
            let mask = ~UInt64(0) << shift
            try? engine.map(
                ioas: ioas, iova: IOVA(random.next() % (1 << 38) & mask), byteCount: (1 + random.next() % 3) << shift,
                backing: backing, offset: random.next() % (1 << 33) & mask, protection: .readWrite)
        }
    }

    /// Which arrays of two snapshots differ, in words.
    static func differences(_ a: Snapshot, _ b: Snapshot) -> [String] {
        zip(Mirror(reflecting: a).children, Mirror(reflecting: b).children).compactMap { a, b in
            let (left, right) = ("\(a.value)", "\(b.value)")
            return left == right ? nil : "\(a.label ?? ""): \(left.prefix(600)) | \(right.prefix(600))"
        }
    }

    /// What a running engine's pass must come to.
    private static func expected(_ engine: borrowing LiveEngine) -> Snapshot {
        guard engine.sessions.contains(where: { !$0.devices.isEmpty }) else { return engine.snapshot(blocked: []) }
        let preserved = Set(engine.attachments.filter { $0.state == .preserved }.map(\.requester))
        var blocked: Set<RequesterID> = []
        for device in engine.devices where !preserved.contains(device.requester) && engine.isBlockable(device.group) {
            blocked.insert(device.requester)
        }
        return engine.snapshot(blocked: blocked)
    }

    static let machines: [[FlavouredMachine.Flavour]] =
        FlavouredMachine.Flavour.allCases.map { [$0] } + [[.secondStage, .amdV2], [.amdNested, .vtdNested]]

    /// `DOMSTORE_RANDOM_SEEDS` says how many there are, one unless it does.
    static let seeds: [UInt64] = {
        let number = ProcessInfo.processInfo.environment["DOMSTORE_RANDOM_SEEDS"].flatMap { UInt64($0) }
        return Array(1...max(1, min(number ?? 1, 4)))
    }()

    @Test("Passes, freezes and thaws in random order", arguments: machines, seeds)
    func random(flavours: [FlavouredMachine.Flavour], seed: UInt64) throws {
        let machine = try Self.machine(flavours)
        var engine = try LiveEngine.start(machine) { _ in }
        var steps = Steps(seed: seed, flavours)
        for device in engine.devices { try? engine.claimOwner(device.group, token: 7) }
        for _ in 0..<40 { steps.step(&engine) }
        var recorder = SnapshotRecorder()
        var applied = Snapshot(origin: .engine)
        let folder = FileManager.default.temporaryDirectory.path + "/recorder-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var writer = try GenerationWriter(creating: folder + "/1.domstore", number: 1, origin: .engine)
        var frozenPasses = 0
        var carried = 0
        for number in 0..<25 {
            for _ in 0..<(steps.random.next() % 20) { steps.step(&engine) }
            try #require(engine.checkInvariants() == [], "seed \(seed) pass \(number)")
            switch steps.random.next() % 4 {
            case 0:
                // One that comes to nothing.
                _ = recorder.changes(of: &engine)
            case 1:
                let changes = recorder.changes(of: &engine)
                applied.apply(changes)
                try writer.precopy(changes)
                recorder.commit()
                let wanted = Self.expected(engine)
                let isEqual = applied == wanted
                try #require(isEqual, "seed \(seed) pass \(number): \(Self.differences(applied, wanted))")
            default:
                switch engine.freeze() {
                case .refused(let live, _): engine = live
                case .frozen(var frozen):
                    let changes = recorder.changes(of: &frozen)
                    applied.apply(changes)
                    try writer.precopy(changes)
                    recorder.commit()
                    let wanted = frozen.snapshot()
                    frozenPasses += 1
                    carried += wanted.devices.count(where: \.preserved)
                    let isEqual = applied == wanted
                    try #require(isEqual, "seed \(seed) pass \(number): \(Self.differences(applied, wanted))")
                    #expect(recorder.counts.areas == wanted.areas.count)
                    #expect(recorder.counts.tablePages == wanted.tablePages.reduce(0) { $0 + $1.pages.count })
                    let nothing = recorder.changes(of: &frozen)
                    #expect(nothing.records.tablePages.isEmpty && nothing.areaOwners.isEmpty)
                    #expect(nothing.gone == SnapshotChanges.Gone() && nothing.records.attachments.isEmpty)
                    engine = frozen.thaw()
                }
            }
        }
        #expect(frozenPasses > 0)
        guard case .frozen(var frozen) = engine.freeze() else { return }
        let changes = recorder.changes(of: &frozen)
        applied.apply(changes)
        _ = try writer.seal(changes, nonce: nil)
        try writer.release()
        let reader = try GenerationReader(path: folder + "/1.domstore")
        #expect(reader.defects().map(\.description) == [])
        let back = try reader.snapshot()
        #expect(back == frozen.snapshot())
        print("recorder \(flavours) seed \(seed): \(frozenPasses) freezes, \(carried) devices carried")
    }

    @Test("An engine tells its changes to the recorder that asked last; another one looks at everything again")
    func twoRecorders() throws {
        var engine = try LiveEngine.start(try Self.machine([.secondStage])) { _ in }
        let space = try engine.createIOAS()
        let hwpt = try engine.createHWPT(ioas: space, unit: UnitID(1))
        let device = engine.devices[0]
        try engine.claimOwner(device.group, token: 7)
        var first = SnapshotRecorder()
        var second = SnapshotRecorder()
        var applied = Snapshot(origin: .engine)
        applied.apply(first.changes(of: &engine))
        first.commit()
        _ = second.changes(of: &engine)
        second.commit()
        try engine.attach(device.requester, to: hwpt)
        _ = second.changes(of: &engine)
        second.commit()
        try engine.detach(device.requester)
        try engine.attach(device.requester, to: hwpt)
        applied.apply(first.changes(of: &engine))
        #expect(applied == Self.expected(engine))
    }
}
