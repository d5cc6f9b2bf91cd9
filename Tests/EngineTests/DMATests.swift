import Hardware
import IOMMUModel
import PageTables
import Testing

@testable import Engine

@Suite struct DMATests {
    private let one = TestMachine.rid("00:03.0")
    private let two = TestMachine.rid("00:04.0")

    @Test func `a device translates what is mapped, faults elsewhere, and faults again after the unmap`() throws {
        let log = EventLog()
        let machine = try TestMachine.make()
        var engine = try LiveEngine.start(machine, sink: log.sink)
        #expect(machine.dma(one, iova: IOVA(0x1000), access: .read) == .fault(.vtd(.rootNotPresent)))
        let (ioas, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        let backing = try engine.addBacking(.memfd, base: TestMachine.buffer, byteCount: 0x40_0000)
        try engine.map(
            ioas: ioas, iova: IOVA(0x20_0000), byteCount: 0x20_0000, backing: backing, offset: 0x20_0000,
            protection: .read)
        let wanted = PhysicalAddress(TestMachine.buffer.rawValue + 0x20_0000 + 0x12345)
        #expect(machine.dma(one, iova: IOVA(0x21_2345), access: .read) == .address(wanted))
        #expect(
            machine.dma(one, iova: IOVA(0x21_2346), access: .read) == .address(PhysicalAddress(wanted.rawValue + 1)))
        #expect(machine.units[0].counters.cacheHits == 1)
        #expect(machine.dma(one, iova: IOVA(0x21_2345), access: .write) == .fault(.vtd(.writePermission)))
        #expect(machine.dma(one, iova: IOVA(0x40_0000), access: .read) == .fault(.vtd(.readPermission)))
        #expect(machine.dma(one, iova: IOVA(1 << 48), access: .read) == .fault(.vtd(.addressBeyondWidth)))
        #expect(
            machine.dma(one, pasid: PASID(1), iova: IOVA(0x20_0000), access: .read) == .fault(.vtd(.pasidInLegacyMode)))
        #expect(machine.dma(one, iova: IOVA(0xfee0_1000), access: .write) == .interrupt)
        #expect(machine.dma(two, iova: IOVA(0x20_0000), access: .read) == .fault(.vtd(.contextNotPresent)))
        #expect(machine.dma(TestMachine.rid("05:00.0"), iova: IOVA(0), access: .read) == .notIssued)
        try engine.unmap(ioas: ioas, iova: IOVA(0x20_0000), byteCount: 0x20_0000)
        #expect(machine.dma(one, iova: IOVA(0x21_2345), access: .read) == .fault(.vtd(.readPermission)))
        try engine.detach(one)
        #expect(machine.dma(one, iova: IOVA(0x21_2345), access: .read) == .fault(.vtd(.rootNotPresent)))
        engine.recordFaults()
        let faults = log.events.filter { $0.kind == .fault }
        #expect(faults.count == 8)
        #expect(faults.first?["reason"] == "0x01")
        #expect(faults.last?["device"] == one.description)
        #expect(machine.units[0].faultLog.records.isEmpty)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `devices of a later segment are served from the caches of their unit`() throws {
        var second = TestMachine.unitDescription(UnitID(2))
        second.segment = 0x10000
        let far = RequesterID(segment: 0x10000, rid: one.rid)
        let device = MachineDevice(requester: far, unit: second.id, group: GroupID(9), driver: "vfio-pci")
        let machine = try TestMachine.make(
            devices: TestMachine.devices + [device], units: [TestMachine.unitDescription(), second])
        var engine = try LiveEngine.start(machine) { _ in }
        let (ioas, hwpt) = try engine.space(unit: second.id)
        try engine.own(far, on: hwpt)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x1000, backing: backing, offset: 0x9000, protection: .read)
        for offset in 0..<3 as Range<UInt64> {
            let wanted = PhysicalAddress(0x9000 + offset)
            #expect(machine.dma(far, iova: IOVA(0x1000 + offset), access: .read) == .address(wanted))
        }
        #expect(machine.units.map(\.counters.cacheHits) == [0, 2])
        #expect(machine.units.map(\.counters.translated) == [0, 3])
        #expect(machine.dma(RequesterID(segment: 7, rid: 0), iova: IOVA(0x1000), access: .read) == .notIssued)
        machine.setBusMaster(false, of: far)
        #expect(machine.dma(far, iova: IOVA(0x1000), access: .read) == .notIssued)
        machine.setBusMaster(true, of: far)
        #expect(machine.dma(far, iova: IOVA(0x1000), access: .read) == .address(PhysicalAddress(0x9000)))
    }

    @Test func `an instruction fetch and a write are not served from what a read has cached without the right`() throws
    {
        let machine = try UnitFlavour.vtdFirstStage.machine()
        var engine = try LiveEngine.start(machine) { _ in }
        let (ioas, hwpt) = try engine.space(.vtdFirstStage)
        try engine.own(one, on: hwpt)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x1000, backing: backing, offset: 0x9000, protection: .read)
        let stage = try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain)?.table)
        let leaf = try unwrapped(
            Walker.leaf(
                TranslationStage(configuration: stage.configuration, root: stage.root), memory: machine.memory.view,
                iova: IOVA(0x1000)))
        let word = try unwrapped(machine.memory.word(at: leaf.entryAddress))
        // XD.
        #expect(machine.memory.setWord(word | 1 << 63, at: leaf.entryAddress))
        #expect(machine.dma(one, iova: IOVA(0x1000), access: .read) == .address(PhysicalAddress(0x9000)))
        #expect(machine.units[0].iotlb.entries.count == 1)
        for access in [Access.execute, .write] {
            let outcome = machine.dma(one, iova: IOVA(0x1000), access: access)
            if case .fault = outcome { continue }
            Issue.record("\(access) answered \(outcome)")
        }
    }

    @Test func `an address above the input width faults, also when the low part of it is cached`() throws {
        let machine = try TestMachine.make()
        var engine = try LiveEngine.start(machine) { _ in }
        let (ioas, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x1000, backing: backing, offset: 0x9000, protection: .readWrite)
        for bit in 48..<64 {
            #expect(machine.dma(one, iova: IOVA(0x1000), access: .read) == .address(PhysicalAddress(0x9000)))
            let beyond = IOVA(1 << UInt64(bit) | 0x1000)
            #expect(machine.dma(one, iova: beyond, access: .read) == .fault(.vtd(.addressBeyondWidth)), "bit \(bit)")
        }
    }

    @Test func `pass-through gives the address itself, and a device whose bus master is off issues nothing`() throws {
        let machine = try TestMachine.make()
        let engine = try LiveEngine.start(machine, configuration: .init(defaultDomain: .identity)) { _ in }
        for _ in 0..<2 {
            #expect(machine.dma(one, iova: IOVA(0x1234_5678), access: .write) == .address(PhysicalAddress(0x1234_5678)))
        }
        #expect(machine.dma(one, iova: IOVA(0xfee0_0000), access: .write) == .interrupt)
        #expect(engine.cacheTagsInUse(on: TestMachine.unit) == [1])
        machine.setBusMaster(false, of: one)
        #expect(machine.dma(one, iova: IOVA(0x1234_5678), access: .write) == .notIssued)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `a unit without pass-through refuses identity`() throws {
        let machine = try TestMachine.make(units: [TestMachine.unitDescription(passThrough: false)])
        var failed: Errno?
        do throws(Errno) {
            _ = try LiveEngine.start(machine, configuration: .init(defaultDomain: .identity)) { _ in }
        } catch {
            failed = error
        }
        #expect(failed == .EOPNOTSUPP)
    }

    @Test(arguments: [(nil, 4, 57), (39, 2, 39), (40, 3, 48), (48, 3, 48), (49, 4, 57)] as [(Int?, Int, Int)])
    func `the top level follows the width asked for`(asked: Int?, topLevel: Int, bits: Int) throws {
        let unit = TestMachine.unitDescription(widths: [.bits39, .bits48, .bits57])
        var engine = try LiveEngine.start(try TestMachine.make(units: [unit])) { _ in }
        let hwpt = try engine.createHWPT(ioas: try engine.createIOAS(), unit: TestMachine.unit, addressBits: asked)
        let shape = try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain)?.table?.configuration)
        #expect(shape.topLevel == topLevel)
        #expect(shape.addressBits == bits)
        try engine.own(one, on: hwpt)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `a width that no table of the unit has is refused, and one that does not reach an area too`() throws {
        var engine = try LiveEngine.start(try TestMachine.make()) { _ in }
        let ioas = try engine.createIOAS()
        let unit = TestMachine.unit
        #expect(
            errno { () throws(Errno) in _ = try engine.createHWPT(ioas: ioas, unit: unit, addressBits: 49) } == .EINVAL)
        #expect(errno { () throws(Errno) in _ = try engine.createHWPT(ioas: ioas, unit: UnitID(9)) } == .ENODEV)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(1 << 40), byteCount: 0x1000, backing: backing, offset: 0, protection: .read)
        #expect(
            errno { () throws(Errno) in _ = try engine.createHWPT(ioas: ioas, unit: unit, addressBits: 39) }
                == .EADDRINUSE)
    }

    @Test func `a domain keeps a tag of its own on each unit`() throws {
        let second = UnitID(2)
        let devices = [
            TestMachine.device("00:03.0", group: 3), TestMachine.device("00:04.0", group: 4, unit: second),
        ]
        let units = [TestMachine.unitDescription(), TestMachine.unitDescription(second)]
        let machine = try TestMachine.make(devices: devices, units: units)
        var engine = try LiveEngine.start(machine) { _ in }
        _ = try engine.space(unit: second)
        let (ioas, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        try engine.own(two, on: hwpt)
        let domain = try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain))
        #expect(domain.cacheTags == [.init(unit: TestMachine.unit, cacheTag: 1), .init(unit: second, cacheTag: 2)])
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0), byteCount: 0x1000, backing: backing, offset: 0x5000, protection: .readWrite)
        for device in [one, two] {
            #expect(machine.dma(device, iova: IOVA(8), access: .write) == .address(PhysicalAddress(0x5008)))
        }
        try engine.unmap(ioas: ioas, iova: IOVA(0), byteCount: 0x1000)
        #expect(machine.dma(two, iova: IOVA(8), access: .write) == .fault(.vtd(.writePermission)))
        #expect(engine.checkInvariants() == [])
    }

    @Test func `with A and D updates on the hardware writes these bits and no other`() throws {
        let machine = try TestMachine.make(units: [TestMachine.unitDescription(accessedDirty: true)])
        var engine = try LiveEngine.start(machine) { _ in }
        let (ioas, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x2000, backing: backing, offset: 0x7000, protection: .readWrite)
        let root = try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain)?.table?.root)
        func leaf() throws -> UInt64 {
            var word: UInt64 = root.rawValue
            for level in stride(from: 3, to: 0, by: -1) {
                word = try #require(machine.memory.word(at: PhysicalAddress(word & ~0xfff)))
                #expect(word & 1 != 0, "level \(level)")
            }
            return try #require(machine.memory.word(at: PhysicalAddress(word & ~0xfff | 8)))
        }
        #expect(try leaf() & 0x300 == 0)
        _ = machine.dma(one, iova: IOVA(0x1000), access: .read)
        #expect(try leaf() & 0x300 == 0x100)
        _ = machine.dma(one, iova: IOVA(0x1000), access: .write)
        #expect(try leaf() == 0x7303)
        #expect(PageTableConfiguration(topLevel: 3, accessedDirty: true)!.hardwareUpdatedMask == 0x300)
        #expect(engine.checkInvariants() == [])
    }

    @Test func `memory that is not there is unknown, neither zero nor a fault`() throws {
        let machine = try TestMachine.make()
        var engine = try LiveEngine.start(machine) { _ in }
        let (_, hwpt) = try engine.space()
        try engine.own(one, on: hwpt)
        let root = try unwrapped(engine.domain(engine.hwpt(hwpt)!.domain)?.table?.root)
        #expect(machine.memory.setWord(0x7770_0000_03, at: root))
        #expect(machine.dma(one, iova: IOVA(0x1000), access: .read) == .unknown(PhysicalAddress(0x7770_0000_00)))
        #expect(machine.units[0].faultLog.records.isEmpty)
    }

    @Test(arguments: [.max, 0x10_0001, .max - 0xffe] as [UInt64])
    func `a handover page that is no page is refused`(address: UInt64) throws {
        #expect(throws: MachineError.self) {
            try Machine(
                memory: PhysicalMemory(), ramRanges: [], arenaRanges: [], handoverPage: PhysicalAddress(address),
                units: [], devices: [])
        }
    }

    @Test func `a full fault log drops the newest and counts them`() throws {
        let machine = try TestMachine.make()
        for page in 0..<300 { _ = machine.dma(one, iova: IOVA(page: UInt64(page)), access: .read) }
        let untranslated = machine.units[0].counters
        #expect(untranslated.translated == 300)
        var engine = try LiveEngine.start(machine) { _ in }
        for page in 0..<300 { _ = machine.dma(one, iova: IOVA(page: UInt64(page)), access: .read) }
        #expect(machine.units[0].faultLog.records.count == 256)
        #expect(machine.units[0].faultLog.overflowCount == 44)
        #expect(machine.units[0].faultLog.records.last?.iova == IOVA(page: 255))
        engine.recordFaults()
        #expect(machine.units[0].faultLog.records.isEmpty)
    }
}
