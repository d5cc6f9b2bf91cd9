import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("One request from the root register")
struct VTDUnitTests {
    @Test("A request is translated through root, context and second-stage tables")
    func translates() throws {
        let machine = try SmallMachine()
        machine.setContext(8, SmallMachine.translated)
        let outcome = machine.dma(8, 0x1abc, .write)
        #expect(outcome.address == PhysicalAddress(0x77abc))
        guard case .translated(_, let context) = outcome else {
            Issue.record("not translated")
            return
        }
        #expect(context.cacheTag == 7)
        #expect(context.cachePASID == nil)
        #expect(context.recordsFaults && !context.allowsDeviceTLB)
        #expect(context.entryAddress == PhysicalAddress(0x11080))
        #expect(context.deviceEntryAddress == context.entryAddress)
    }

    @Test("Each fault reason of legacy mode has its cause, and the entry at fault is named")
    func faultReasons() throws {
        var produced = Set<VTDFaultReason>()
        func expect(
            _ outcome: RequestOutcome, _ reason: VTDFaultReason, at address: UInt64?,
            _ location: SourceLocation = #_sourceLocation
        ) {
            guard case .fault(let fault) = outcome else {
                Issue.record("no fault: \(outcome)", sourceLocation: location)
                return
            }
            #expect(fault.vtdReason == reason, sourceLocation: location)
            #expect(fault.entryAddress == address.map { PhysicalAddress($0) }, sourceLocation: location)
            produced.insert(reason)
        }
        var machine = try SmallMachine()
        expect(machine.dma(0x100, 0), .rootNotPresent, at: 0x10010)
        expect(machine.dma(8, 0), .contextNotPresent, at: 0x11080)
        machine.setContext(8, VTDContextEntry(low: 0x12001, high: 0x705))
        expect(machine.dma(8, 0), .contextInvalid, at: 0x11080)
        machine.setContext(8, VTDContextEntry(low: 0x12011, high: 0x702))
        expect(machine.dma(8, 0), .contextReserved, at: 0x11080)
        machine.setContext(8, SmallMachine.translated)
        expect(machine.dma(8, 1 << 48), .addressBeyondWidth, at: nil)
        expect(machine.dma(8, 0x2000, .write), .writePermission, at: 0x15010)
        expect(machine.dma(8, 0x9000, .read), .readPermission, at: 0x15048)
        expect(machine.dma(8, 0x3000, .read), .pagingEntryReserved, at: 0x15018)
        machine.set(0x15020, 0xfee0_0003)
        expect(machine.dma(8, 0x4000, .read), .interruptOutput, at: 0x15020)
        machine.setContext(9, VTDContextEntry(passThroughWith: .bits48, domainID: 1))
        expect(machine.dma(9, 1 << 46), .addressBeyondWidth, at: nil)
        machine.setRoot(bus: 2, VTDRootEntry(low: 0x11003, high: 0))
        expect(machine.dma(0x200, 0), .rootReserved, at: 0x10020)
        expect(machine.dma(8, 0x1000, pasid: PASID(0)), .pasidInLegacyMode, at: nil)
        machine = try SmallMachine(mode: .reserved)
        expect(machine.dma(8, 0), .rootTableAddressInvalid, at: nil)
        machine = try SmallMachine(mode: .scalable)
        expect(machine.dma(8, 0), .rootTableAddressInvalid, at: nil)
        machine = try SmallMachine(mode: .abortDMA)
        #expect(machine.hardware.resolve(8, pasid: nil, memory: machine.memory.view).reason == .dmaAborted)
        #expect(produced == VTDFaultReasonCoverage.legacy)
    }

    @Test("Memory that is not there is unknown, not a fault")
    func unknownMemory() throws {
        var machine = try SmallMachine()
        machine.setContext(8, SmallMachine.translated)
        #expect(machine.dma(8, 0x20_0000) == .unknown(page: PhysicalAddress(0x99999000)))
        machine.setRoot(bus: 1, VTDRootEntry(contextTable: PhysicalAddress(0x5000_0000)))
        #expect(machine.dma(0x100, 0) == .unknown(page: PhysicalAddress(0x5000_0000)))
        machine.hardware.registers.rootTableAddress = VTDRootTableAddress(
            mode: .legacy, rootTable: PhysicalAddress(0x7000_0000))
        #expect(machine.dma(8, 0) == .unknown(page: PhysicalAddress(0x7000_0000)))
        machine.hardware.registers.rootTableAddress = VTDRootTableAddress(rawValue: 0xffff_ffff_ffff_f000)
        #expect(machine.dma(0xffff, 0) == .unknown(page: PhysicalAddress(0xffff_ffff_ffff_f000)))
    }

    @Test("The translation type decides with the unit's capabilities", arguments: [false, true], [false, true])
    func translationTypes(deviceTLB: Bool, passThrough: Bool) throws {
        let machine = try SmallMachine(deviceTLB: deviceTLB, passThrough: passThrough)
        machine.setContext(0, SmallMachine.translated)
        machine.setContext(
            1, VTDContextEntry(root: SmallMachine.tables, width: .bits48, domainID: 7, deviceTLB: true))
        // A pass-through entry has no table, whatever its AW says.
        machine.setContext(2, VTDContextEntry(passThroughWith: .bits48, domainID: 1))
        machine.setContext(3, VTDContextEntry(low: 0x1200d, high: 0x702))
        machine.setContext(4, VTDContextEntry(passThroughWith: .bits57, domainID: 1))
        #expect(machine.dma(0, 0x1000).address == PhysicalAddress(0x77000))
        #expect(machine.dma(1, 0x1000).address == (deviceTLB ? PhysicalAddress(0x77000) : nil))
        #expect(machine.dma(1, 0x1000).reason == (deviceTLB ? nil : .contextInvalid))
        #expect(machine.dma(2, 0x1234_5678).address == (passThrough ? PhysicalAddress(0x1234_5678) : nil))
        #expect(machine.dma(2, 0x1000).reason == (passThrough ? nil : .contextInvalid))
        #expect(machine.dma(3, 0x1000).reason == .contextInvalid)
        #expect(machine.dma(4, 0x1000).reason == .contextInvalid)
    }

    @Test("An address width that SAGAW lacks is an invalid context", arguments: UInt8(0)...7)
    func addressWidths(code: UInt8) throws {
        let machine = try SmallMachine(widths: [.bits39, .bits57])
        let entry = VTDContextEntry(low: 0x12001, high: 0x700 | UInt64(code))
        guard code == 1 || code == 3 else {
            #expect(throws: VTDFaultReason.contextInvalid) { try machine.hardware.path(of: entry) }
            return
        }
        guard case .single(let stage) = try machine.hardware.path(of: entry) else {
            Issue.record("no tables")
            return
        }
        let configuration = stage.configuration
        #expect(configuration.topLevel == Int(code) + 1)
        #expect(configuration.addressBits == (code == 1 ? 39 : 48), "MGAW is 48")
        #expect(configuration.hostAddressWidth == 46)
        #expect(stage.root == SmallMachine.tables)
    }

    @Test("The interrupt window is never translated, not even by pass-through")
    func interruptWindow() throws {
        let machine = try SmallMachine()
        machine.setContext(2, VTDContextEntry(passThroughWith: .bits48, domainID: 1))
        #expect(machine.dma(2, 0xfee0_0000, .write) == .interrupt)
        #expect(machine.dma(2, 0xfeef_ffff, .write) == .interrupt)
        #expect(machine.dma(2, 0xfedf_ffff).address == PhysicalAddress(0xfedf_ffff))
        #expect(machine.dma(2, 0xfef0_0000).address == PhysicalAddress(0xfef0_0000))
    }

    @Test("With translation off everything passes; in abort mode nothing does")
    func switchedOffOrAborting() throws {
        let off = try SmallMachine(translationEnabled: false)
        #expect(off.dma(0xabc, 0x1234) == .untranslated(PhysicalAddress(0x1234), context: nil))
        let aborting = try SmallMachine(mode: .abortDMA)
        aborting.setContext(8, SmallMachine.translated)
        #expect(aborting.dma(8, 0x1000) == .aborted)
    }

    @Test("A fault through an entry with FPD is not recorded")
    func faultProcessingDisable() throws {
        let machine = try SmallMachine()
        machine.setContext(0, SmallMachine.translated)
        machine.setContext(1, VTDContextEntry(low: SmallMachine.translated.low | 2, high: 0x702))
        machine.setContext(2, VTDContextEntry(low: 0x12013, high: 0x702))
        func recorded(_ rid: UInt16) -> Bool? {
            if case .fault(let fault) = machine.dma(rid, 0x9000) { fault.isRecorded } else { nil }
        }
        #expect(recorded(0) == true)
        #expect(recorded(1) == false)
        #expect(recorded(2) == false)
    }

    @Test("Accessed and dirty bits are written only when the unit updates them")
    func accessedDirty() throws {
        var machine = try SmallMachine()
        machine.setContext(0, SmallMachine.translated)
        _ = machine.dma(0, 0x1000, .write)
        #expect(machine.memory.word(at: PhysicalAddress(0x15008)) == 0x77003)
        machine.hardware.updatesAccessedDirty = true
        _ = machine.dma(0, 0x1000, .write)
        #expect(machine.memory.word(at: PhysicalAddress(0x15008)) == 0x77303)
        #expect(machine.memory.word(at: PhysicalAddress(0x12000)) == 0x13103)
    }
}
