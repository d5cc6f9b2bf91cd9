import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Testing

@testable import Validate

/// What a machine with PASIDs translates, run by run and step by step.
@Suite struct PASIDMappingTests {
    private static let first = PASIDMachine.first
    private static let second = PASIDMachine.second
    private static let passing = PASIDMachine.passing
    private static let nesting = PASIDMachine.nesting

    /// A guest's tables, from its root on, and what they map: guest page 2 at 0x7000.
    private static func machine(_ vendor: PASIDMachine.Vendor) throws -> (
        source: PASIDMachine, guest: [PhysicalAddress]
    ) {
        var source = try PASIDMachine(vendor)
        let guest = (0..<4).map { _ in source.frame() }
        // The guest has them at 0x4000 to 0x7fff.
        for (number, page) in guest.enumerated() {
            let place = source.entry(of: 5, 0x4000 + UInt64(number) << 12, level: 0)
            source.write(PASIDMachine.leafWord(page.rawValue, source.shape(5).format, 0, .readWrite), place)
        }
        for level in 0..<3 { source.write(UInt64(0x5000 + level << 12) | 0x27, guest[level]) }
        source.write(0x2000 | 0x25, PASIDMachine.word(7, guest[3]))
        source.write(0x3000 | 0x27, PASIDMachine.word(8, guest[3]))
        try source.record(guest: guest)
        return (source, guest)
    }

    private static func run(
        _ device: RequesterID, _ pasid: UInt32?, _ first: UInt64, _ last: UInt64, _ pa: UInt64,
        _ protection: Protection = .readWrite
    ) -> RecordedMapping {
        RecordedMapping(
            device: device, pasid: pasid.map { PASID($0)! }, range: IOVARange(first: IOVA(first), last: IOVA(last))!,
            pa: PhysicalAddress(pa), protection: protection)
    }

    private static func expected(_ vendor: PASIDMachine.Vendor) -> [RecordedMapping] {
        let base = PASIDMachine.fileBase
        func large(_ device: RequesterID) -> [RecordedMapping] {
            [
                run(device, nil, 0x10_0000, 0x10_2fff, base + 0x100_0000),
                run(device, nil, 0x20_0000, 0x5f_ffff, base + 0x180_0000, .read),
            ]
        }
        func shared(_ pasid: UInt32) -> RecordedMapping {
            run(first, pasid, 0x7f_0000_0000, 0x7f_0000_3fff, base + 0x200_0000)
        }
        let third = run(first, vendor == .intel ? 70 : nil, 0x1000, 0x1fff, base + 0x300_0000)
        let passed = [
            run(passing, nil, 0, 0xfedf_ffff, 0), run(passing, nil, 0xfef0_0000, (1 << 46) - 1, 0xfef0_0000),
        ]
        // Guest pages 2 and 3 through the parent; the guest reads the first only.
        let nested = [
            run(nesting, 100, 0x7000, 0x7fff, base + 0x500_2000, .read),
            run(nesting, 100, 0x8000, 0x8fff, base + 0x500_3000),
        ]
        return
            (vendor == .intel
            ? large(first) + [shared(1), shared(64), third] : [third, shared(1), shared(64)])
            + large(second) + passed + nested
    }

    @Test(arguments: PASIDMachine.Vendor.allCases)
    func `mappings are told per device and PASID, in order, nested ones through both stages`(
        vendor: PASIDMachine.Vendor
    ) throws {
        let machine = try RecordedMachine(Self.machine(vendor).source.snapshot)
        let expected = Self.expected(vendor)
        #expect(machine.mappings() == expected)
        for pasid in [PASID(1), PASID(64), PASID(100), PASID(2)] {
            #expect(machine.mappings(pasid: .some(pasid)) == expected.filter { $0.pasid == pasid })
        }
        #expect(machine.mappings(pasid: .some(nil)) == expected.filter { $0.pasid == nil })
        #expect(
            machine.mappings(device: Self.first, pasid: PASID(64))
                == expected.filter { $0.device == Self.first && $0.pasid == PASID(64) })
    }

    @Test(arguments: PASIDMachine.Vendor.allCases)
    func `the ends of each mapping translate by themselves as the run says`(vendor: PASIDMachine.Vendor) throws {
        let machine = try RecordedMachine(Self.machine(vendor).source.snapshot)
        for mapping in machine.mappings() {
            for offset in [0, mapping.range.lastOffset] {
                let iova = IOVA(mapping.range.first.rawValue + offset)
                let trace = try #require(machine.trace(device: mapping.device, pasid: mapping.pasid, iova: iova))
                guard case .address(let pa, let protection, _) = trace.ending else {
                    Issue.record("\(trace)")
                    continue
                }
                #expect(pa.rawValue == mapping.pa.rawValue + offset)
                #expect(protection == mapping.protection)
            }
        }
    }

    @Test func `AMD: what passes has the rights of its entry`() throws {
        var source = try PASIDMachine(.amd)
        source.enter(Self.passing, AMDDeviceTableEntry(passThroughWith: .read, domainID: 9))
        try source.record()
        let machine = try RecordedMachine(source.snapshot)
        #expect(machine.mappings(device: Self.passing).map(\.protection) == [.read, .read])
        func ending(_ access: Access) -> TranslationTrace.Ending? {
            machine.trace(device: Self.passing, iova: IOVA(0x1000), access: access)?.ending
        }
        #expect(ending(.read) == .address(PhysicalAddress(0x1000), protection: .read, pageSizeLog2: nil))
        guard case .fault(.amd(let reason), let entry) = ending(.write) else {
            Issue.record("no fault")
            return
        }
        #expect(reason.event == .pageFault && reason.flags.contains(.write))
        #expect(entry == source.deviceEntry(Self.passing))
    }

    @Test func `AMD: an entry that is not valid passes everything, and no mapping is told`() throws {
        var source = try PASIDMachine(.amd)
        source.write([0, 0], source.deviceEntry(Self.passing))
        try source.record()
        let machine = try RecordedMachine(source.snapshot)
        #expect(machine.mappings(device: Self.passing) == [])
        let trace = try #require(machine.trace(device: Self.passing, iova: IOVA(0x1000)))
        #expect(trace.ending == .address(PhysicalAddress(0x1000), protection: .readWrite, pageSizeLog2: nil))
        #expect(trace.steps.map(\.kind.description) == ["device table entry"])
    }

    @Test func `VT-d: a PASID that the device may not use is told and followed, with a note`() throws {
        var source = try PASIDMachine(.intel)
        source.write(source.read(source.deviceEntry(Self.first)) & ~8, source.deviceEntry(Self.first))
        try source.record()
        let machine = try RecordedMachine(source.snapshot)
        #expect(machine.mappings(device: Self.first, pasid: PASID(1)).count == 1)
        let trace = try #require(machine.trace(device: Self.first, pasid: PASID(1), iova: IOVA(0x7f_0000_0000)))
        #expect(trace.ending == .address(PhysicalAddress(0x4200_0000), protection: .readWrite, pageSizeLog2: 12))
        #expect(trace.steps[1].meaning.contains("PASIDE=0"))
        #expect(trace.steps[1].meaning.contains("note=fault 45h"))
        // One that has no entry gets the hardware's answer.
        let stranger = try #require(machine.trace(device: Self.first, pasid: PASID(2), iova: IOVA(0)))
        #expect(stranger.ending == .fault(.vtd(.pasidNotEnabled), entryAddress: source.deviceEntry(Self.first)))
        #expect(stranger.steps.count == 2)
    }

    @Test func `VT-d: a trace tells the entries of scalable mode and what their fields mean`() throws {
        let (source, guest) = try Self.machine(.intel)
        let machine = try RecordedMachine(source.snapshot)
        let trace = try #require(machine.trace(device: Self.nesting, pasid: PASID(100), iova: IOVA(0x7123)))
        #expect(
            trace.steps.map(\.kind.description) == [
                "root entry", "context entry", "PASID directory entry", "PASID-table entry", "guest level 3 entry",
                "guest level 2 entry", "guest level 1 entry", "guest level 0 entry", "host level 3 entry",
                "host level 2 entry", "host level 1 entry", "host level 0 entry",
            ])
        #expect(trace.steps[0].meaning == "LP=1 LCTP=\(source.contextTable)")
        #expect(trace.steps[1].meaning.hasPrefix("P=1 PASIDE=1 PDTS=0 (128 entries) PASIDDIRPTR="))
        #expect(trace.steps[3].meaning.contains("AW=2 (48 bits) PGTT=3 (nested) SSPTPTR=\(source.roots[5]!) DID=8"))
        #expect(trace.steps[3].meaning.contains("FSPTPTR=\(PASIDMachine.guestRoot)"))
        #expect(trace.steps[3].words.count == 8)
        #expect(trace.steps[4].address == guest[0])
        #expect(trace.steps[4].meaning.hasPrefix("guest-address=0x0000000000004000 table=0x0000000000005000"))
        #expect(trace.steps[7].address == PASIDMachine.word(7, guest[3]))
        #expect(trace.ending == .address(PhysicalAddress(0x4500_2123), protection: .read, pageSizeLog2: 12))
    }

    @Test func `AMD: a trace tells the device table entry, the GCR3 entries and both stages`() throws {
        let (source, _) = try Self.machine(.amd)
        let machine = try RecordedMachine(source.snapshot)
        let trace = try #require(machine.trace(device: Self.nesting, pasid: PASID(100), iova: IOVA(0x8000)))
        #expect(
            trace.steps.prefix(4).map(\.kind.description) == [
                "device table entry", "GCR3 entry", "GCR3 entry", "guest level 3 entry",
            ])
        #expect(trace.steps[0].meaning.hasPrefix("V=1 TV=1 Mode=4 (4 levels) HostPTRoot=\(source.roots[5]!)"))
        #expect(trace.steps[0].meaning.contains("GV=1 GCR3=\(source.directories[Self.nesting]!) GLX=1 (2 levels)"))
        #expect(trace.steps[2].meaning == "V=1 Ptr=\(PASIDMachine.guestRoot)")
        #expect(trace.ending == .address(PhysicalAddress(0x4500_3000), protection: .readWrite, pageSizeLog2: 12))
        // A reserved bit is told at its entry.
        source.write(source.read(source.deviceEntry(Self.second)) | 4, source.deviceEntry(Self.second))
        var damaged = source
        try damaged.record()
        let fault = try #require(RecordedMachine(damaged.snapshot).trace(device: Self.second, iova: IOVA(0x10_0000)))
        #expect(fault.steps.map(\.meaning).last?.hasSuffix("reserved=q0 6:2") == true)
        #expect(fault.ending.description.hasPrefix("event 1h ILLEGAL_DEV_TABLE_ENTRY"))
    }

    @Test(arguments: PASIDMachine.Vendor.allCases)
    func `a tagged request to the interrupt window is a walk on VT-d and an interrupt on AMD`(
        vendor: PASIDMachine.Vendor
    ) throws {
        var source = try PASIDMachine(vendor)
        source.map(2, 0xfed0_0000, 0x4000_0000, pages: 512)
        try source.record()
        let machine = try RecordedMachine(source.snapshot)
        let runs = machine.mappings(device: Self.first, pasid: PASID(1)).filter { $0.range.first.rawValue >> 32 == 0 }
        #expect(runs.map(\.range.last.rawValue) == (vendor == .intel ? [0xfeef_ffff] : [0xfedf_ffff]))
        let ending = machine.trace(device: Self.first, pasid: PASID(1), iova: IOVA(0xfee0_0000))?.ending
        #expect((ending == .interrupt) == (vendor == .amd))
    }

    @Test func `VT-d: what would end in the interrupt window is not translated`() throws {
        var source = try PASIDMachine(.intel)
        source.map(1, 0x4000_0000, 0xfedf_f000, pages: 2)
        try source.record()
        let runs = try RecordedMachine(source.snapshot).mappings(device: Self.second)
            .filter { $0.range.first.rawValue == 0x4000_0000 }
        #expect(runs.map(\.range.last.rawValue) == [0x4000_0fff])
    }
}
