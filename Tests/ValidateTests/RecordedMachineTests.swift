import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Testing

@testable import Validate

@Suite struct RecordedMachineTests {
    @Test func `mappings are what the hardware translates, run by run`() throws {
        let machine = try RecordedMachine(TestMachine().snapshot)
        let base = TestMachine.fileBase
        func run(_ device: RequesterID, _ first: UInt64, _ last: UInt64, _ pa: UInt64, _ protection: Protection)
            -> RecordedMapping
        {
            RecordedMapping(
                device: device, pasid: nil, range: IOVARange(first: IOVA(first), last: IOVA(last))!,
                pa: PhysicalAddress(pa), protection: protection)
        }
        let expected = [
            run(TestMachine.first, 0x10_0000, 0x10_2fff, base, .readWrite),
            run(TestMachine.first, 0x20_0000, 0x5f_ffff, base + 0x20_0000, .read),
            run(TestMachine.first, 0x7fff_ffff_f000, 0x7fff_ffff_ffff, base + 0x3000, .readWrite),
            run(TestMachine.second, 0, 0xffff, base + 0x100_0000, .readWrite),
            run(TestMachine.passing, 0, 0xfedf_ffff, 0, .readWrite),
            run(TestMachine.passing, 0xfef0_0000, (1 << 46) - 1, 0xfef0_0000, .readWrite),
        ]
        #expect(machine.mappings() == expected)
        #expect(machine.forEachMapping { _ in true } == .complete)
        #expect(machine.forEachMapping { _ in false } == .stopped)
        #expect(machine.mappings(device: TestMachine.second) == [expected[3]])
        #expect(machine.mappings(pasid: .some(nil)) == expected)
        #expect(machine.mappings(pasid: PASID(1)) == [])
    }

    @Test func `the interrupt window is cut out of a run`() throws {
        var source = try TestMachine()
        source.map(0, 0xfed0_0000, 0x4000_0000, pages: 1024)
        try source.record()
        let runs = try RecordedMachine(source.snapshot).mappings(device: TestMachine.first).filter {
            $0.range.first.rawValue >= 0xfe00_0000 && $0.range.first.rawValue < 0x1_0000_0000
        }
        #expect(runs.map(\.range.first.rawValue) == [0xfed0_0000, 0xfef0_0000])
        #expect(runs.map(\.range.last.rawValue) == [0xfedf_ffff, 0xff0f_ffff])
        #expect(runs.map(\.pa.rawValue) == [0x4000_0000, 0x4020_0000])
    }

    @Test func `mappings come from the pages and not from the attachments`() throws {
        var source = try TestMachine()
        let before = try RecordedMachine(source.snapshot).mappings()
        source.snapshot.attachments = []
        source.snapshot.domains = []
        #expect(try RecordedMachine(source.snapshot).mappings() == before)
        source.enter(TestMachine.second, VTDContextEntry(low: 0, high: 0))
        try source.record()
        #expect(try RecordedMachine(source.snapshot).mappings() == before.filter { $0.device != TestMachine.second })
    }

    @Test func `a page of each mapping translates by itself as the run says`() throws {
        let machine = try RecordedMachine(TestMachine().snapshot)
        for mapping in machine.mappings() {
            for offset in [0, mapping.range.lastOffset / 2, mapping.range.lastOffset] {
                let iova = IOVA(mapping.range.first.rawValue + offset)
                let trace = try #require(machine.trace(device: mapping.device, iova: iova))
                guard case .address(let pa, let protection, _) = trace.ending else {
                    Issue.record("\(trace.ending)")
                    continue
                }
                #expect(pa.rawValue == mapping.pa.rawValue + offset)
                #expect(protection == mapping.protection)
            }
        }
    }

    @Test func `a trace tells each entry from the root register on`() throws {
        let source = try TestMachine()
        let machine = try RecordedMachine(source.snapshot)
        let trace = try #require(machine.trace(device: TestMachine.first, iova: IOVA(0x20_1234)))
        #expect(
            trace.steps.map(\.kind) == [
                .lookup("vtd.root"), .lookup("vtd.context"), .table(level: 3), .table(level: 2), .table(level: 1),
            ])
        #expect(trace.steps[0].address == source.rootTable)
        #expect(trace.steps[1].address == source.contextEntry(TestMachine.first))
        #expect(trace.steps[1].meaning.contains("AW=2 (48 bits)"))
        #expect(trace.steps[4].words == [0x4020_0081])
        #expect(trace.steps[4].meaning.contains("size=2M"))
        #expect(
            trace.ending == .address(PhysicalAddress(0x4020_1234), protection: .read, pageSizeLog2: 21))
    }

    @Test func `a trace ends in the hardware's fault or in what is unknown`() throws {
        var source = try TestMachine()
        source.write(0x4100_0003, source.entry(0, 0xc000_0000, level: 2))
        try source.record()
        let machine = try RecordedMachine(source.snapshot)
        func ending(_ device: RequesterID, _ iova: UInt64, _ access: Access = .read) -> TranslationTrace.Ending? {
            machine.trace(device: device, iova: IOVA(iova), access: access)?.ending
        }
        let leaf = source.entry(0, 0x20_0000, level: 1)
        #expect(ending(TestMachine.first, 0x20_0000, .write) == .fault(.vtd(.writePermission), entryAddress: leaf))
        #expect(ending(TestMachine.first, 1 << 50) == .fault(.vtd(.addressBeyondWidth), entryAddress: nil))
        #expect(ending(TestMachine.first, 0xfee0_0000) == .interrupt)
        #expect(ending(TestMachine.first, 0xc000_0000) == .unknown(page: PhysicalAddress(0x4100_0000)))
        let stranger = RequesterID(segment: 0, rid: 0x28)
        #expect(ending(stranger, 0) == .fault(.vtd(.contextNotPresent), entryAddress: source.contextEntry(stranger)))
        #expect(
            ending(RequesterID(segment: 0, rid: 0x100), 0)
                == .fault(.vtd(.rootNotPresent), entryAddress: PhysicalAddress(source.rootTable.rawValue + 16)))
        #expect(ending(RequesterID(segment: 7, rid: 0), 0) == nil)
        let tagged = machine.trace(device: TestMachine.first, pasid: PASID(1), iova: IOVA(0))
        #expect(tagged?.ending == .fault(.vtd(.pasidInLegacyMode), entryAddress: nil))
    }
}
