import Glibc
import IOMMUModel
import Testing

@testable import Engine

/// Random steps against a model that knows nothing of tables: (address space, page) → (address, protection).
@Suite struct RandomEngineTests {
    private struct Model {
        struct Area {
            var first: UInt64
            var count: UInt64
        }
        var pages: [IOASID: [UInt64: (pa: UInt64, protection: Protection)]] = [:]
        var areas: [IOASID: [Area]] = [:]
        /// What each device's group is on.
        var attached: [GroupID: (hwpt: HWPTID, devices: Set<RequesterID>)] = [:]
        var home: [HWPTID: IOASID] = [:]
    }

    static var seeds: [UInt64] {
        if let text = getenv("DOMSTORE_SEED").map({ String(cString: $0) }), let seed = parseInteger(text) {
            return [seed]
        }
        return [1, 2, 3, 4, 5, 6]
    }

    @Test(arguments: seeds)
    func `random map, unmap, attach, detach and replace agree with a dictionary`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let machine = try TestMachine.make(units: [TestMachine.unitDescription(accessedDirty: seed % 2 == 0)])
        var engine = try LiveEngine.start(machine) { _ in }
        var model = Model()
        let backing = try engine.addBacking(.physical)
        for group in engine.groups { try engine.claimOwner(group.id, token: 1) }
        for _ in 0..<3 {
            let ioas = try engine.createIOAS()
            model.pages[ioas] = [:]
            model.areas[ioas] = []
            for bits in [39, 48] {
                model.home[try engine.createHWPT(ioas: ioas, unit: TestMachine.unit, addressBits: bits)] = ioas
            }
        }
        let spaces = model.pages.keys.sorted()
        let hwpts = model.home.keys.sorted()
        for step in 0..<250 {
            let ioas = spaces.randomElement(using: &random)!
            let device = machine.devices.randomElement(using: &random)!
            let hwpt = hwpts.randomElement(using: &random)!
            switch UInt64.random(in: 0..<10, using: &random) {
            case 0..<4: try map(&engine, &model, ioas, backing, &random)
            case 4..<6: try unmap(&engine, &model, ioas, &random)
            case 6: try attach(&engine, &model, device, hwpt)
            case 7: try detach(&engine, &model, device)
            default: try replace(&engine, &model, device, hwpt)
            }
            for _ in 0..<40 { probe(machine, model, &random, "seed \(seed) step \(step)") }
            let violations = engine.checkInvariants()
            try #require(violations == [], "seed \(seed) step \(step)")
        }
        // Everything goes back: only root table and nothing else stays allocated.
        for state in model.attached.values { for device in state.devices { try engine.detach(device) } }
        for group in engine.groups { try engine.releaseOwner(group.id) }
        for hwpt in hwpts { try engine.destroyHWPT(hwpt) }
        for ioas in spaces { try engine.destroyIOAS(ioas) }
        #expect(engine.arena.allocatedCount == 1)
        #expect(engine.cacheTagsInUse(on: TestMachine.unit) == [])
        #expect(engine.checkInvariants() == [])
    }

    /// Mostly small pieces of a crowded window, sometimes large aligned ones.
    private func extent(_ random: inout SplitMix64) -> (first: UInt64, count: UInt64) {
        switch UInt64.random(in: 0..<8, using: &random) {
        case 0: (UInt64.random(in: 0..<4, using: &random) << 9, 512)
        default: (UInt64.random(in: 0..<2048, using: &random), UInt64.random(in: 1...64, using: &random))
        }
    }

    private func map(
        _ engine: inout LiveEngine, _ model: inout Model, _ ioas: IOASID, _ backing: BackingID,
        _ random: inout SplitMix64
    ) throws {
        let (first, count) = extent(&random)
        let pa = UInt64.random(in: 0..<64, using: &random) << (count == 512 ? 9 : 3)
        let protection = [Protection.read, .write, .readWrite].randomElement(using: &random)!
        let taken = model.areas[ioas]!.contains { $0.first < first + count && first < $0.first + $0.count }
        let found = errno { () throws(Errno) in
            try engine.map(
                ioas: ioas, iova: IOVA(page: first), byteCount: count << 12, backing: backing, offset: pa << 12,
                protection: protection)
        }
        try #require(found == (taken ? .EEXIST : nil))
        guard !taken else { return }
        model.areas[ioas]!.append(.init(first: first, count: count))
        for page in 0..<count { model.pages[ioas]![first + page] = (pa + page, protection) }
    }

    private func unmap(
        _ engine: inout LiveEngine, _ model: inout Model, _ ioas: IOASID, _ random: inout SplitMix64
    ) throws {
        var (first, count) = extent(&random)
        if let area = model.areas[ioas]!.randomElement(using: &random), Bool.random(using: &random) {
            (first, count) = (area.first, area.count)
        }
        let touched = model.areas[ioas]!.filter { $0.first < first + count && first < $0.first + $0.count }
        let whole = touched.allSatisfy { first <= $0.first && $0.first + $0.count <= first + count }
        var bytes: UInt64 = 0
        let found = errno { () throws(Errno) in
            bytes = try engine.unmap(ioas: ioas, iova: IOVA(page: first), byteCount: count << 12)
        }
        try #require(found == (touched.isEmpty || !whole ? .ENOENT : nil))
        guard found == nil else { return }
        #expect(bytes == touched.reduce(0) { $0 + $1.count << 12 })
        model.areas[ioas]!.removeAll { $0.first < first + count && first < $0.first + $0.count }
        for page in first..<first + count { model.pages[ioas]![page] = nil }
    }

    private func attach(
        _ engine: inout LiveEngine, _ model: inout Model, _ device: MachineDevice, _ hwpt: HWPTID
    ) throws {
        let found = errno { () throws(Errno) in try engine.attach(device.requester, to: hwpt) }
        if let state = model.attached[device.group] {
            if state.hwpt != hwpt {
                try #require(found == .EINVAL)
            } else if state.devices.contains(device.requester) {
                try #require(found == .EBUSY)
            } else {
                try #require(found == nil)
                model.attached[device.group]!.devices.insert(device.requester)
            }
        } else {
            try #require(found == nil)
            model.attached[device.group] = (hwpt, [device.requester])
        }
    }

    private func detach(_ engine: inout LiveEngine, _ model: inout Model, _ device: MachineDevice) throws {
        let found = errno { () throws(Errno) in try engine.detach(device.requester) }
        guard model.attached[device.group]?.devices.remove(device.requester) != nil else {
            return try #require(found == .ENOENT)
        }
        try #require(found == nil)
        if model.attached[device.group]!.devices.isEmpty { model.attached[device.group] = nil }
    }

    private func replace(
        _ engine: inout LiveEngine, _ model: inout Model, _ device: MachineDevice, _ hwpt: HWPTID
    ) throws {
        let found = errno { () throws(Errno) in try engine.replace(device.requester, with: hwpt) }
        guard model.attached[device.group]?.devices.contains(device.requester) == true else {
            return try #require(found == .EINVAL)
        }
        try #require(found == nil)
        model.attached[device.group]!.hwpt = hwpt
    }

    /// One random access of every device, half of them where something is likely mapped.
    private func probe(_ machine: Machine, _ model: Model, _ random: inout SplitMix64, _ place: String) {
        for device in machine.devices {
            let page = UInt64.random(
                in: 0..<(UInt64.random(in: 0..<8, using: &random) > 0 ? 2200 : 1 << 20), using: &random)
            let access: Access = Bool.random(using: &random) ? .read : .write
            let offset = UInt64.random(in: 0..<4096, using: &random)
            let outcome = machine.dma(device.requester, iova: IOVA(page << 12 | offset), access: access)
            let ioas = model.attached[device.group].flatMap { model.home[$0.hwpt] }
            let expected = ioas.flatMap { model.pages[$0]![page] }
            if IOVARange(first: IOVA(0xfee0_0000), last: IOVA(0xfeef_ffff))!.contains(IOVA(page: page)) {
                #expect(outcome == .interrupt)
            } else if let expected, expected.protection.contains(access.needs) {
                #expect(outcome == .address(PhysicalAddress(expected.pa << 12 | offset)), "\(place)")
            } else if case .fault = outcome {
                continue
            } else {
                Issue.record("\(place): \(device.requester) page \(page) \(access) gave \(outcome)")
            }
        }
    }
}
