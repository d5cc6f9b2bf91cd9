import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("Scalable mode: the walk after the lookup")
struct VTDScalableWalkTests {
    @Test("Every translation type sends addresses its own way, tagged and untagged")
    func everyType() throws {
        let machine = try ScalableMachine(ridPASID: 3)
        let entries: [(UInt32, VTDPASIDEntry, UInt64?)] = [
            (1, ScalableMachine.first, 0x77123), (2, ScalableMachine.second, 0x77123),
            (3, ScalableMachine.nested, 0x195123), (4, VTDPASIDEntry(passThroughWith: 12), 0x1123),
            (5, VTDPASIDEntry(firstStage: ScalableMachine.firstStage5, isFiveLevel: true, domainID: 9), 0x77123),
        ]
        for (pasid, entry, expected) in entries {
            machine.setEntry(pasid, entry)
            let tag = pasid == 3 ? nil : pasid
            let outcome = machine.dma(0x1123, .write, pasid: tag)
            #expect(outcome.address == expected.map { PhysicalAddress($0) }, "PASID \(pasid): \(outcome)")
            let context = try #require(machine.resolve(tag).context)
            #expect(context.cacheTag == UInt32(entry.domainID))
            let isKeyed = entry.translationType == .firstStage || entry.translationType == .nested
            #expect(context.cachePASID == (isKeyed ? PASID(pasid) : nil))
            #expect(
                machine.hardware.translate(context, iova: IOVA(0x1123), access: .write, memory: machine.memory.view)
                    == outcome)
        }
        guard case .translated(let translation, _) = machine.dma(0x1123) else {
            Issue.record("not translated")
            return
        }
        #expect(translation.pageSizeLog2 == 12)
    }

    @Test("The first stage is sign-extended, of the width that FSPM says")
    func signExtension() throws {
        let machine = try ScalableMachine()
        machine.setEntry(0, ScalableMachine.first)
        // The root's last entry leads to the same tables as its first: index 511 of three levels is not mapped there.
        #expect(machine.dma(0xffff_ff80_0000_1000).address == PhysicalAddress(0x77000))
        #expect(machine.dma(0x0000_ff80_0000_1000).reason == .nonCanonical)
        #expect(machine.dma(0x0001_0000_0000_1000).reason == .nonCanonical)
        machine.setEntry(0, VTDPASIDEntry(firstStage: ScalableMachine.firstStage5, isFiveLevel: true, domainID: 9))
        #expect(machine.dma(0xffff_0000_0000_1000).address == PhysicalAddress(0x77000))
        #expect(machine.dma(0x0001_0000_0000_1000).reason == .firstStageNotPresent)
        #expect(machine.dma(0x0100_0000_0000_1000).reason == .nonCanonical)
        let four = try ScalableMachine(firstStage5Level: false)
        four.setEntry(0, VTDPASIDEntry(firstStage: ScalableMachine.firstStage5, isFiveLevel: true, domainID: 9))
        #expect(four.resolve().reason == .pasidInvalid)
    }

    @Test("A leaf of 1 GiB in the first stage needs FS1GP", arguments: [false, true])
    func firstStageGiB(supported: Bool) throws {
        let machine = try ScalableMachine(firstStage1G: supported)
        machine.setEntry(0, ScalableMachine.first)
        machine.set(0x171008, 0x4000_0087)
        #expect(machine.dma(0x4000_0123).address == (supported ? PhysicalAddress(0x4000_0123) : nil))
        #expect(machine.dma(0x4000_0123).reason == (supported ? nil : .firstStageReserved))
    }

    @Test("Execute-disable is reserved without NXE, and only bars fetches with it")
    func executeDisable() throws {
        let machine = try ScalableMachine()
        machine.setEntry(0, ScalableMachine.first)
        #expect(machine.dma(0x7000).reason == .firstStageReserved)
        machine.setEntry(
            0,
            VTDPASIDEntry(
                firstStage: ScalableMachine.firstStage, isFiveLevel: false, domainID: 9, options: .executeDisable))
        #expect(machine.dma(0x7000).address == PhysicalAddress(0x7a000))
        #expect(machine.dma(0x7000, .execute).reason == .executePermission)
    }

    @Test("Each fault reason of a walk has its cause, and the entry at fault is named")
    func faultReasons() throws {
        var produced = Set<VTDFaultReason>()
        let machine = try ScalableMachine()
        func expect(
            _ iova: UInt64, _ access: Access, _ reason: VTDFaultReason, at address: UInt64?,
            _ location: SourceLocation = #_sourceLocation
        ) {
            guard case .fault(let fault) = machine.dma(iova, access) else {
                Issue.record("no fault: \(machine.dma(iova, access))", sourceLocation: location)
                return
            }
            #expect(fault.vtdReason == reason, sourceLocation: location)
            #expect(fault.entryAddress == address.map { PhysicalAddress($0) }, sourceLocation: location)
            produced.insert(reason)
        }
        machine.setEntry(0, ScalableMachine.second)
        expect(0x9000, .read, .secondStageNotPresent, at: 0x163048)
        expect(0x200000, .read, .secondStageNotPresent, at: 0x164000)
        expect(0x200000, .write, .secondStageNotPresent, at: 0x164000)
        expect(0x3000, .read, .secondStageReserved, at: 0x163018)
        expect(0x2000, .write, .scalableWritePermission, at: 0x163010)
        expect(0x4000, .read, .scalableReadPermission, at: 0x163020)
        expect(0x5000, .read, .scalableInterruptOutput, at: 0x163028)
        expect(1 << 48, .read, .addressBeyondSecondStage, at: nil)
        machine.setEntry(0, ScalableMachine.first)
        expect(0x3000, .read, .firstStageNotPresent, at: 0x173018)
        expect(0x2000, .write, .scalableWritePermission, at: 0x173010)
        expect(0x4000, .read, .supervisorPage, at: 0x173020)
        expect(0x5000, .read, .firstStageReserved, at: 0x173028)
        expect(0x6000, .read, .scalableInterruptOutput, at: 0x173030)
        expect(1 << 47, .read, .nonCanonical, at: nil)
        machine.setEntry(0, VTDPASIDEntry(passThroughWith: 1))
        expect(1 << 46, .read, .addressBeyondHostWidth, at: nil)
        machine.setEntry(
            0,
            VTDPASIDEntry(
                firstStage: ScalableMachine.firstStage, isFiveLevel: false, domainID: 9, options: .executeDisable))
        expect(0x7000, .execute, .executePermission, at: 0x173038)
        machine.setEntry(0, ScalableMachine.nested)
        nestedFaults(machine, expect)
        #expect(produced == VTDFaultReasonCoverage.scalableWalk)
    }

    private func nestedFaults(
        _ machine: ScalableMachine, _ expect: (UInt64, Access, VTDFaultReason, UInt64?, SourceLocation) -> Void
    ) {
        func refused(
            _ reason: VTDFaultReason, _ access: Access = .read, at address: UInt64?,
            _ location: SourceLocation = #_sourceLocation
        ) { expect(0x1000, access, reason, address, location) }
        let leaf = ScalableMachine.guestMemory + 0x3008
        machine.setGuestLeaf(1, 0)
        refused(.firstStageNotPresent, at: leaf)
        machine.setGuestLeaf(1, 1 << 40 | 0x5007)
        refused(.guestAddressBeyondWidth, at: nil)
        machine.setGuestLeaf(1, 0x5003)
        refused(.supervisorPage, at: leaf)
        machine.setGuestLeaf(1, 0x5007)
        // Tables of the guest: the root (page 0), one below it (page 2).
        machine.setGuestPage(0, 2)
        refused(.firstStageRootNotReadable, at: 0x182000)
        machine.setGuestPage(0, 0)
        refused(.secondStageNotPresent, at: 0x182000)
        machine.setGuestPage(0, 3)
        machine.setGuestPage(2, 2)
        refused(.firstStageNotReadable, at: 0x182010)
        machine.setGuestPage(2, 1 << 62 | 3)
        refused(.secondStageReserved, at: 0x182010)
        // Read only: the accessed bit of its entry cannot be set.
        machine.setGuestPage(2, 1)
        refused(.firstStageNotWritable, at: 0x182010)
        machine.setGuestPage(2, 3)
        // The page itself.
        machine.setGuestPage(5, 1)
        refused(.scalableWritePermission, .write, at: 0x182028)
        machine.setGuestPage(5, 2)
        refused(.scalableReadPermission, at: 0x182028)
        machine.setGuestPage(5, 0)
        refused(.secondStageNotPresent, at: 0x182028)
    }

    @Test("Every reason is produced by a test or known as not modelled")
    func coverage() {
        let sets = [
            VTDFaultReasonCoverage.legacy, VTDFaultReasonCoverage.scalableLookup, VTDFaultReasonCoverage.scalableWalk,
            VTDFaultReasonCoverage.notModelled,
        ]
        #expect(sets.reduce(into: Set()) { $0.formUnion($1) } == Set(VTDFaultReason.allCases))
        #expect(sets.map(\.count).reduce(0, +) == VTDFaultReason.allCases.count)
        for reason in VTDFaultReason.allCases { #expect(!reason.meaning.isEmpty) }
    }

    @Test(
        "Untagged requests to the interrupt window are interrupts; tagged ones are translated, but not passed through")
    func interruptWindow() throws {
        let machine = try ScalableMachine()
        machine.setEntry(0, ScalableMachine.second)
        machine.setEntry(1, ScalableMachine.second)
        machine.setEntry(2, VTDPASIDEntry(passThroughWith: 1))
        // 0xfee00000 in the second stage: 1 GiB slot 3, then 2 MiB slot 503.
        machine.set(0x161018, 0x165003)
        machine.set(0x165000 + 503 * 8, 0x40_0000 | 0x83)
        #expect(machine.dma(0xfee0_0000, .write) == .interrupt)
        #expect(machine.dma(0xfee0_0000, .write, pasid: 1).address == PhysicalAddress(0x40_0000))
        #expect(machine.dma(0xfee0_0000, .write, pasid: 2).reason == .scalableInterruptOutput)
        #expect(machine.dma(0xfef0_0000, .write, pasid: 2).address == PhysicalAddress(0xfef0_0000))
    }

    @Test(
        "Accessed and dirty bits: always in the first stage, in the second where SSADE says so",
        arguments: [false, true])
    func accessedDirty(option: Bool) throws {
        var machine = try ScalableMachine()
        machine.hardware.updatesAccessedDirty = option
        machine.setEntry(0, ScalableMachine.second)
        _ = machine.dma(0x1000, .write)
        #expect(machine.word(0x163008) == 0x77003)
        machine.setEntry(0, ScalableMachine.first)
        _ = machine.dma(0x1000, .write)
        #expect(machine.word(0x173008) == 0x77067)
        #expect(machine.word(0x170000) == 0x171027)
        machine.setEntry(
            0,
            VTDPASIDEntry(
                secondStage: ScalableMachine.secondStage, width: .bits48, domainID: 7,
                options: .secondStageAccessedDirty))
        _ = machine.dma(0x1000, .write)
        #expect(machine.word(0x163008) == 0x77303)
        machine.setEntry(0, ScalableMachine.nested)
        _ = machine.dma(0x1000, .write)
        #expect(machine.word(ScalableMachine.guestMemory + 0x3008) == 0x5067)
        #expect(machine.word(0x182028) == 0x195003)
    }

    @Test("An observer gets the same answer and writes nothing")
    func observing() throws {
        let machine = try ScalableMachine()
        let unit = IOMMUHardware.vtd(machine.hardware)
        for entry in [ScalableMachine.first, ScalableMachine.nested] {
            machine.setEntry(0, entry)
            let before = (0..<192 * 512).map { machine.word(0x100000 + UInt64($0) * 8) }
            let seen = unit.observe(8, pasid: nil, iova: IOVA(0x1000), access: .write, memory: machine.memory.view)
            #expect((0..<192 * 512).map { machine.word(0x100000 + UInt64($0) * 8) } == before)
            #expect(
                unit.translate(8, pasid: nil, iova: IOVA(0x1000), access: .write, memory: machine.memory.view) == seen)
            #expect((0..<192 * 512).map { machine.word(0x100000 + UInt64($0) * 8) } != before)
        }
        #expect(
            unit.observe(8, pasid: nil, iova: IOVA(0xfee0_0000), access: .write, memory: machine.memory.view)
                == .interrupt)
    }

    @Test("A unit offers the shapes of tables that its registers name")
    func configurations() throws {
        var unit = try ScalableMachine().hardware
        func levels(_ format: PageTableFormatKind, signExtended: Bool = false) -> [Int] {
            (0...5).filter { unit.configuration(format: format, topLevel: $0, signExtended: signExtended) != nil }
        }
        #expect(levels(.vtdSecondStage) == [2, 3])
        #expect(levels(.x86_64, signExtended: true) == [3, 4])
        #expect(levels(.x86_64) == [] && levels(.vtdSecondStage, signExtended: true) == [] && levels(.amdV1) == [])
        let first = try #require(unit.configuration(format: .x86_64, topLevel: 3, signExtended: true))
        #expect(first.accessedDirty && first.signExtended && !first.noExecute && !first.supports1G && first.supports2M)
        #expect(unit.configuration(format: .vtdSecondStage, topLevel: 3, signExtended: false)?.accessedDirty == false)
        unit.updatesAccessedDirty = true
        #expect(unit.configuration(format: .vtdSecondStage, topLevel: 3, signExtended: false)?.accessedDirty == true)
        unit.registers.extendedCapability.rawValue &= ~VTDExtendedCapability.ssads.mask
        #expect(unit.configuration(format: .vtdSecondStage, topLevel: 3, signExtended: false)?.accessedDirty == false)
        unit.registers.capability.rawValue &= ~VTDCapability.fs5lp.mask
        #expect(levels(.x86_64, signExtended: true) == [3])
        unit.registers.rootTableAddress = VTDRootTableAddress(mode: .legacy, rootTable: ScalableMachine.rootTable)
        #expect(levels(.x86_64, signExtended: true) == [])
        #expect(unit.configuration(format: .vtdSecondStage, topLevel: 3, signExtended: false)?.accessedDirty == true)
    }
}
