import Hardware
import IOMMUModel
import Testing

@testable import Engine

/// All DMA of a machine is refused when nothing can be restored.
@Suite struct AbortTests {
    private let devices = TestMachine.devices.map(\.requester)

    /// A machine of `flavour`'s unit on which every device but the last reaches one page, which the caches hold.
    private func running(_ flavour: UnitFlavour, abortsByRegister: Bool = false) throws -> Machine {
        var unit = flavour.description()
        if abortsByRegister {
            unit.registers = unit.registers.map {
                $0.name == "ecap" ? .init("ecap", $0.value | VTDExtendedCapability.adms.encoded(1)) : $0
            }
        }
        var engine = try LiveEngine.start(try TestMachine.make(units: [unit])) { _ in }
        let (ioas, hwpt) = try engine.space(flavour)
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x1000, backing: backing, offset: 0x9000,
            protection: .readWrite)
        for device in devices.dropLast() { try engine.own(device, on: hwpt) }
        for device in devices.dropLast() { #expect(isReached(device, engine.machine)) }
        return engine.machine
    }

    private func isReached(_ device: RequesterID, _ machine: Machine) -> Bool {
        machine.dma(device, iova: IOVA(0x1000), access: .write) == .address(PhysicalAddress(0x9000))
    }

    private func isRefused(_ device: RequesterID, _ iova: UInt64, _ machine: Machine) -> Bool {
        switch machine.dma(device, iova: IOVA(iova), access: .write) {
        case .fault, .aborted: true
        default: false
        }
    }

    @Test(arguments: UnitFlavour.allCases)
    func `every unit refuses every device from then on, whatever its caches held`(flavour: UnitFlavour) throws {
        let machine = try running(flavour)
        let how = try machine.abortAll()
        #expect(how.map(\.unit) == [TestMachine.unit])
        #expect(how.map(\.how) == [flavour == .smmuStage2 ? .registers : .rootTable])
        // Also one that never had an entry, and a requester that the machine does not know.
        for device in devices { #expect(isRefused(device, 0x1000, machine) && isRefused(device, 0x9000, machine)) }
        let stranger = machine.units[0].hardware.translate(
            0x4711, pasid: nil, iova: IOVA(0x1000), access: .read, memory: machine.memory.view)
        switch stranger {
        case .fault, .aborted: break
        default: Issue.record("\(stranger)")
        }
        #expect(machine.findStaleEntries().isEmpty)
        // Asked again, it is so already.
        #expect(try machine.abortAll().map(\.how) == how.map(\.how))
    }

    @Test(arguments: [UnitFlavour.vtdLegacy, .vtdSecondStage])
    func `a VT-d unit that can is told by its registers, and its tables stay`(flavour: UnitFlavour) throws {
        let machine = try running(flavour, abortsByRegister: true)
        guard case .vtd(let before) = machine.units[0].hardware else { preconditionFailure("a VT-d unit") }
        let root = before.registers.rootTableAddress.rootTable
        let words = try #require(machine.memory.page(at: root)).pointee
        #expect(try machine.abortAll().map(\.how) == [.registers])
        guard case .vtd(let after) = machine.units[0].hardware else { preconditionFailure("a VT-d unit") }
        #expect(after.registers.rootTableAddress.mode == .abortDMA)
        #expect(after.registers.rootTableAddress.rootTable == root && after.registers.globalStatus.translationEnabled)
        #expect(machine.memory.page(at: root)?.pointee == words && words != 0)
        for device in devices {
            #expect(machine.dma(device, iova: IOVA(0x1000), access: .read) == .aborted)
        }
    }

    @Test func `translation comes on where it is needed to abort, and goes off where it is in the way`() throws {
        let vtd = try TestMachine.make(units: [
            UnitDescription(
                id: TestMachine.unit, registerBase: PhysicalAddress(0xfed9_0000),
                registers: [
                    .init("rtaddr", 0), .init("gsts", 0), .init("cap", 0),
                    .init("ecap", VTDExtendedCapability.adms.encoded(1)),
                ])
        ])
        #expect(vtd.dma(devices[0], iova: IOVA(0x5000), access: .read) == .address(PhysicalAddress(0x5000)))
        _ = try vtd.abortAll()
        #expect(vtd.dma(devices[0], iova: IOVA(0x5000), access: .read) == .aborted)
        let smmu = try running(.smmuStage2)
        _ = try smmu.abortAll()
        guard case .smmu(let unit) = smmu.units[0].hardware else { preconditionFailure("an SMMUv3") }
        #expect(unit.registers.globalBypass == 1 << 20 && !unit.registers.translationEnabled)
    }

    @Test func `where one unit cannot, none is touched`() throws {
        func obstacle(_ machine: Machine) -> AbortObstacle? {
            do throws(AbortObstacle) {
                _ = try machine.abortAll()
                return nil
            } catch { return error }
        }
        // Its root register leads out of memory.
        let lost = try running(.vtdLegacy)
        let root = lost.units[0].registers.rootTableAddress
        lost.units[0].registers.rootTableAddress = VTDRootTableAddress(
            mode: .legacy, rootTable: PhysicalAddress(0x7f_0000_0000))
        #expect(obstacle(lost) == AbortObstacle(unit: TestMachine.unit, reason: .rootNotInMemory))
        lost.units[0].registers.rootTableAddress = root
        // Another is off, and has no state that aborts.
        let on = TestMachine.unitDescription()
        let off = TestMachine.unitDescription(UnitID(2))
        var engine = try LiveEngine.start(try TestMachine.make(units: [on, off])) { _ in }
        let (ioas, hwpt) = try engine.space()
        let backing = try engine.addBacking(.physical)
        try engine.map(
            ioas: ioas, iova: IOVA(0x1000), byteCount: 0x1000, backing: backing, offset: 0x9000,
            protection: .readWrite)
        try engine.own(devices[0], on: hwpt)
        let machine = engine.machine
        machine.units[1].registers.globalStatus = VTDGlobalStatus(translationEnabled: false)
        let seen = try #require(obstacle(machine))
        #expect(seen == AbortObstacle(unit: UnitID(2), reason: .notTranslating))
        #expect(seen.description == "unit 2 translates nothing and has no state that aborts all DMA")
        #expect(isReached(devices[0], machine))
        // A device must not be blocked.
        let region = ReservedRegion(
            group: GroupID(6), kind: .direct, range: IOVARange(first: IOVA(0x6000_0000), bytes: 0x1000)!)
        let kept = try TestMachine.make(reserved: [region], units: [UnitFlavour.smmuStage2.description()])
        #expect(obstacle(kept) == AbortObstacle(unit: TestMachine.unit, reason: .notBlockable(devices[4])))
    }

    @Test func `an AMD unit whose device table is not all in memory cannot`() throws {
        let machine = try running(.amdV1)
        guard case .amd(var unit) = machine.units[0].hardware else { preconditionFailure("an AMD unit") }
        // Its last page is the first byte behind what memory holds.
        let end = PhysicalAddress(TestMachine.ramStart + TestMachine.ramBytes)
        let pages = unit.registers.deviceTableBase.entryCount / AMDLookupIndex.entriesPerPage
        unit.registers.deviceTableBase = AMDDeviceTableBase(
            table: PhysicalAddress(end.rawValue - UInt64(pages - 1) << 12), pageCount: pages)
        machine.units[0].hardware = .amd(unit)
        #expect(pages > 1)
        #expect(throws: AbortObstacle(unit: TestMachine.unit, reason: .rootNotInMemory)) {
            try machine.abortAll()
        }
        // Nor one whose table is in segments, of which the other base registers are not known.
        let split = try running(.amdV1)
        guard case .amd(var segmented) = split.units[0].hardware else { preconditionFailure("an AMD unit") }
        let control = try #require(segmented.registers.control)
        segmented.registers.control = AMDControl(rawValue: control.rawValue | AMDControl.devTblSegEn.encoded(1))
        split.units[0].hardware = .amd(segmented)
        #expect(throws: AbortObstacle(unit: TestMachine.unit, reason: .rootNotInMemory)) { try split.abortAll() }
    }

    @Test func `a VT-d unit in a mode that lets nothing through is left as it is`() throws {
        let machine = try running(.vtdLegacy)
        var root = machine.units[0].registers.rootTableAddress
        root.rawValue |= VTDRootTableAddress.ttm.encoded(2)
        machine.units[0].registers.rootTableAddress = root
        #expect(try machine.abortAll().map(\.how) == [.registers])
        #expect(machine.units[0].registers.rootTableAddress == root)
        for device in devices { #expect(isRefused(device, 0x1000, machine)) }
    }
}
