import Hardware
import IOMMUModel
import Testing

@testable import Engine

/// Accesses without a PASID find what the context cache holds without looking into it: never more, never less.
@Suite struct CacheHitTests {
    /// Two that share a place of the context cache, one beside them, one of another unit, one of a later segment.
    private static let devices = [
        TestMachine.device("00:03.0", group: 3), TestMachine.device("04:03.0", group: 4),
        TestMachine.device("00:04.0", group: 5), TestMachine.device("00:05.0", group: 6, unit: UnitID(2)),
        MachineDevice(
            requester: RequesterID(segment: 0x10000, rid: 0x18), unit: UnitID(3), group: GroupID(7),
            driver: "vfio-pci"),
    ]
    private static let pages: [IOVA] = [IOVA(0x1000), IOVA(0x2000), IOVA(0xfee0_0000)]

    private func machine() throws -> Machine {
        var units = (1...3).map { TestMachine.unitDescription(UnitID($0)) }
        units[2].segment = 0x10000
        let machine = try TestMachine.make(devices: Self.devices, units: units)
        for unit in machine.units { unit.registers.globalStatus = VTDGlobalStatus(translationEnabled: true) }
        return machine
    }

    /// What the caches hold, asked for entry by entry.
    private func cached(_ machine: Machine, _ device: MachineDevice, _ iova: IOVA) -> PhysicalAddress? {
        guard let unit = machine.unit(device.unit), device.busMaster, unit.hardware.translationEnabled,
            let context = unit.contextCache.entries.first(where: { $0.key == AttachmentKey(device.requester) }),
            context.passThrough == nil
        else { return nil }
        return unit.iotlb.lookup(context.space, iova: iova)?.pa
    }

    private func check(_ machine: Machine, _ note: Comment) {
        for device in machine.devices {
            for page in Self.pages {
                let unit = machine.unit(device.unit)!
                let (wanted, before) = (cached(machine, device, page), unit.counters.cacheHits)
                if device.requester.segment == 0 {
                    #expect(machine.hit(device.requester, iova: page, access: .read) == wanted, note)
                } else if let wanted {
                    #expect(machine.dma(device.requester, iova: page, access: .read) == .address(wanted), note)
                }
                #expect(unit.counters.cacheHits - before == (wanted == nil ? 0 : 1), note)
            }
        }
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `random fills and invalidations are seen by the next access`(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let machine = try machine()
        for step in 0..<400 {
            let device = Self.devices.randomElement(using: &random)!
            let unit = machine.unit(device.unit)!
            let key = AttachmentKey(device.requester, Bool.random(using: &random) ? nil : PASID(1))
            let space = CacheSpace(tag: UInt32.random(in: 1..<4, using: &random), pasid: nil)
            switch UInt64.random(in: 0..<16, using: &random) {
            case 0..<5: unit.contextCache.fill(.init(key: key, space: space, passThrough: nil))
            case 5: unit.contextCache.fill(.init(key: key, space: space, passThrough: .readWrite))
            case 6..<11:
                unit.iotlb.fill(
                    space, iova: Self.pages.randomElement(using: &random)!,
                    pa: PhysicalAddress(page: UInt64.random(in: 1..<100, using: &random)), rights: 1,
                    source: RequestKey(key))
            case 11: unit.invalidateContext(key)
            case 12: unit.invalidateContexts(of: device.requester)
            case 13: unit.invalidate(space)
            case 14: machine.setBusMaster(Bool.random(using: &random), of: device.requester)
            default:
                if Bool.random(using: &random) {
                    unit.registers.globalStatus = VTDGlobalStatus(translationEnabled: Bool.random(using: &random))
                } else {
                    unit.invalidateAll()
                }
            }
            check(machine, "seed \(seed) step \(step)")
        }
    }

    @Test func `a context that another device displaces serves no more`() throws {
        let machine = try machine()
        let (unit, space) = (machine.units[0], CacheSpace(tag: 1, pasid: nil))
        let keys = Self.devices[0...1].map { AttachmentKey($0.requester) }
        unit.iotlb.fill(
            space, iova: IOVA(0x1000), pa: PhysicalAddress(0x9000), rights: 1, source: RequestKey(keys[0]))
        for (key, other) in [(keys[0], keys[1]), (keys[1], keys[0])] {
            unit.contextCache.fill(.init(key: key, space: space, passThrough: nil))
            #expect(machine.hit(key.requester, iova: IOVA(0x1234), access: .read) == PhysicalAddress(0x9234))
            #expect(machine.hit(other.requester, iova: IOVA(0x1234), access: .read) == nil)
        }
        // One with a PASID in the same place.
        let rid = (0...UInt16.max).first { rid in
            (RequestKey(rid, PASID(1)!).place ^ RequestKey(keys[0].requester.rid).place) & 0x3ff == 0
        }
        let tagged = AttachmentKey(RequesterID(segment: 0, rid: rid!), PASID(1))
        unit.contextCache.fill(.init(key: tagged, space: space, passThrough: nil))
        #expect(machine.hit(keys[0].requester, iova: IOVA(0x1234), access: .read) == nil)
        #expect(unit.contextCache.entries.map(\.key) == [tagged])
    }

    @Test func `a unit that outlives its machine can be invalidated`() throws {
        let unit = try machine().units[0]
        unit.contextCache.fill(
            .init(
                key: AttachmentKey(Self.devices[0].requester), space: CacheSpace(tag: 1, pasid: nil),
                passThrough: nil))
        unit.invalidateAll()
        #expect(unit.contextCache.entries.isEmpty)
    }
}
