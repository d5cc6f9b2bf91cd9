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
        /// What requests with a PASID are on.
        var tagged: [AttachmentKey: HWPTID] = [:]
        /// What each device's group is on.
        var attached: [GroupID: (hwpt: HWPTID, devices: Set<RequesterID>)] = [:]
        var home: [HWPTID: IOASID] = [:]
    }

    /// `DOMSTORE_SEED` replays one seed; `DOMSTORE_RANDOM_SEEDS` says how many there are, one unless it does: debug builds
    /// walk slowly.
    static var seeds: [UInt64] {
        func number(_ name: String) -> UInt64? { getenv(name).flatMap { parseInteger(String(cString: $0)) } }
        if let seed = number("DOMSTORE_SEED") { return [seed] }
        return Array(1...max(1, min(number("DOMSTORE_RANDOM_SEEDS") ?? 1, 6)))
    }

    /// Few, so that devices meet in them; 63 and 64 are in different tables.
    private static let pasids = [1, 63, 64, 0xfffff].map { PASID($0)! }

    @Test(arguments: UnitFlavour.allCases, seeds)
    func `random map, unmap, attach, detach and replace agree with a dictionary`(
        flavour: UnitFlavour, seed: UInt64
    ) throws {
        var random = SplitMix64(seed: seed)
        let machine = try flavour.machine(accessedDirty: seed % 2 == 0)
        var engine = try LiveEngine.start(machine) { _ in }
        let atFirst = engine.arena.allocatedCount
        var model = Model()
        let backing = try engine.addBacking(.physical)
        for group in engine.groups { try engine.claimOwner(group.id, token: 1) }
        for _ in 0..<3 {
            let ioas = try engine.createIOAS()
            model.pages[ioas] = [:]
            model.areas[ioas] = []
            for bits in flavour.widths {
                let hwpt = try engine.createHWPT(
                    ioas: ioas, unit: TestMachine.unit, addressBits: bits, format: flavour.format)
                model.home[hwpt] = ioas
            }
        }
        let spaces = model.pages.keys.sorted()
        let hwpts = model.home.keys.sorted()
        for step in 0..<250 {
            let ioas = spaces.randomElement(using: &random)!
            let device = machine.devices.randomElement(using: &random)!
            let hwpt = hwpts.randomElement(using: &random)!
            if UnitFlavour.tagged.contains(flavour), UInt64.random(in: 0..<4, using: &random) == 0 {
                let key = AttachmentKey(device.requester, Self.pasids.randomElement(using: &random)!)
                try tagged(&engine, &model, key, device, hwpt, &random)
            }
            switch UInt64.random(in: 0..<10, using: &random) {
            case 0..<4: try map(&engine, &model, ioas, backing, &random)
            case 4..<6: try unmap(&engine, &model, ioas, &random)
            case 6: try attach(&engine, &model, device, hwpt)
            case 7: try detach(&engine, &model, device)
            default: try replace(&engine, &model, device, hwpt)
            }
            for _ in 0..<40 { probe(machine, model, flavour, &random, "seed \(seed) step \(step)") }
            let violations = engine.checkInvariants()
            try #require(violations == [], "seed \(seed) step \(step)")
        }
        // Everything goes back: only what the unit itself needs stays allocated.
        for key in model.tagged.keys { try engine.detach(key.requester, pasid: key.pasid) }
        for state in model.attached.values { for device in state.devices { try engine.detach(device) } }
        for group in engine.groups { try engine.releaseOwner(group.id) }
        for hwpt in hwpts { try engine.destroyHWPT(hwpt) }
        for ioas in spaces { try engine.destroyIOAS(ioas) }
        #expect(engine.arena.allocatedCount == atFirst)
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

    /// Attaches, replaces or detaches the requests of one device with one PASID.
    private func tagged(
        _ engine: inout LiveEngine, _ model: inout Model, _ key: AttachmentKey, _ device: MachineDevice,
        _ hwpt: HWPTID, _ random: inout SplitMix64
    ) throws {
        let isAttached = model.tagged[key] != nil
        switch UInt64.random(in: 0..<3, using: &random) {
        case 0:
            let found = errno { () throws(Errno) in try engine.attach(key.requester, pasid: key.pasid, to: hwpt) }
            let isAlone = engine.group(device.group)?.isSingleton == true
            try #require(found == (!isAlone ? .EOPNOTSUPP : isAttached ? .EBUSY : nil))
            if found == nil { model.tagged[key] = hwpt }
        case 1:
            let found = errno { () throws(Errno) in try engine.replace(key.requester, pasid: key.pasid, with: hwpt) }
            try #require((found == nil) == isAttached)
            if isAttached { model.tagged[key] = hwpt }
        default:
            let found = errno { () throws(Errno) in try engine.detach(key.requester, pasid: key.pasid) }
            try #require(found == (isAttached ? nil : .ENOENT))
            model.tagged[key] = nil
        }
    }

    /// One random access of every device, half of them where something is likely mapped; some with a PASID.
    private func probe(
        _ machine: Machine, _ model: Model, _ flavour: UnitFlavour, _ random: inout SplitMix64, _ place: String
    ) {
        let window = IOVARange(first: IOVA(0xfee0_0000), last: IOVA(0xfeef_ffff))!
        for device in machine.devices {
            let isTagged = Int.random(in: 0..<3, using: &random) == 0
            let key = AttachmentKey(
                device.requester, isTagged ? Self.pasids.randomElement(using: &random)! : nil)
            let page = UInt64.random(
                in: 0..<(UInt64.random(in: 0..<8, using: &random) > 0 ? 2200 : 1 << 20), using: &random)
            let access: Access = Bool.random(using: &random) ? .read : .write
            let offset = UInt64.random(in: 0..<4096, using: &random)
            let outcome = machine.dma(key.requester, pasid: key.pasid, iova: IOVA(page << 12 | offset), access: access)
            let hwpt = isTagged ? model.tagged[key] : model.attached[device.group]?.hwpt
            let expected = hwpt.flatMap { model.home[$0] }.flatMap { model.pages[$0]![page] }
            if flavour != .smmuStage2, !isTagged || flavour.isAMD, window.contains(IOVA(page: page)) {
                #expect(outcome == .interrupt)
            } else if let expected, flavour.format.granted(expected.protection).contains(access.needs) {
                #expect(outcome == .address(PhysicalAddress(expected.pa << 12 | offset)), "\(place) \(key)")
            } else if case .fault = outcome {
                continue
            } else {
                Issue.record("\(place): \(key) page \(page) \(access) gave \(outcome)")
            }
        }
    }
}
