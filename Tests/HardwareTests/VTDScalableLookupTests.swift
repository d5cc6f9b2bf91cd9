import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("Scalable mode: from the root register to the PASID-table entry")
struct VTDScalableLookupTests {
    @Test("PASIDs at the seams of the structures are found, and an untagged request is RID_PASID's")
    func seams() throws {
        let machine = try ScalableMachine(ridPASID: 5)
        for (number, pasid): (UInt16, UInt32) in zip(0..., [0, 1, 5, 63, 64, 0xf_ffff]) {
            machine.setEntry(
                pasid, VTDPASIDEntry(secondStage: ScalableMachine.secondStage, width: .bits48, domainID: number))
        }
        for (number, pasid): (UInt32, UInt32) in zip(0..., [0, 1, 5, 63, 64, 0xf_ffff]) {
            let resolution = pasid == 5 ? machine.resolve() : machine.resolve(pasid)
            let context = try #require(resolution.context)
            #expect(context.cacheTag == number)
            #expect(context.cachePASID == nil)
            #expect(context.entryAddress == PhysicalAddress(machine.place(pasid)))
            #expect(context.deviceEntryAddress == ScalableMachine.context)
        }
        #expect(machine.resolve(5).reason == .pasidIsRIDPASID)
        #expect(machine.resolve(6).reason == .pasidNotPresent)
        #expect(machine.resolve(128).reason == .pasidDirectoryNotPresent)
    }

    @Test("A directory ends at 2^(PDTS + 7) entries", arguments: UInt8(0)...7)
    func directorySizes(code: UInt8) throws {
        let machine = try ScalableMachine(directorySizeCode: code)
        let last = UInt32(64) << (UInt32(code) + 7) - 1
        machine.setEntry(0, ScalableMachine.second)
        machine.setEntry(last, ScalableMachine.second)
        #expect(machine.resolve().context != nil)
        #expect(machine.resolve(last).context != nil)
        guard code < 7 else { return }
        machine.setEntry(last + 1, ScalableMachine.second)
        #expect(machine.resolve(last + 1).reason == .pasidBeyondDirectory)
        machine.set(ScalableMachine.context.rawValue + 8, UInt64(last) + 1)
        #expect(machine.resolve().reason == .scalableContextInvalid)
    }

    @Test("Device and function choose the half of the root entry and the place in its table")
    func halves() throws {
        let machine = try ScalableMachine()
        machine.setEntry(0, ScalableMachine.second)
        for rid: UInt16 in [0, 0x7f, 0x80, 0xff] {
            machine.setContext(
                rid,
                VTDScalableContextEntry(
                    directory: ScalableMachine.directory, directorySizeCode: 0, pasidEnabled: false))
            let base: UInt64 = rid & 0x80 == 0 ? 0x101000 : 0x102000
            let context = try #require(machine.resolve(rid: rid).context)
            #expect(context.deviceEntryAddress == PhysicalAddress(base + UInt64(rid & 0x7f) * 32))
        }
        machine.set(ScalableMachine.rootTable.rawValue, ~0 & ~1)
        #expect(machine.resolve(rid: 0).reason == .scalableRootNotPresent)
        #expect(machine.resolve(rid: 0x80).context != nil, "the halves are independent")
    }

    @Test("Each fault reason of the lookup has its cause, and the entry at fault is named")
    func faultReasons() throws {
        var produced = Set<VTDFaultReason>()
        let machine = try ScalableMachine()
        machine.setEntry(0, ScalableMachine.second)
        machine.setEntry(1, ScalableMachine.second)
        let (root, context, slot) = (UInt64(0x100000), UInt64(0x101100), UInt64(0x110000))
        let entry = machine.place(0)
        func expect(
            _ reason: VTDFaultReason, at address: UInt64, pasid: UInt32? = nil, rid: UInt16 = 8,
            change: (UInt64, UInt64)?, _ location: SourceLocation = #_sourceLocation
        ) {
            let before = change.map { machine.word($0.0) }
            if let change { machine.set(change.0, change.1) }
            defer { if let change { machine.set(change.0, before!) } }
            guard case .fault(let fault) = machine.resolve(pasid, rid: rid) else {
                Issue.record("no fault", sourceLocation: location)
                return
            }
            #expect(fault.vtdReason == reason, sourceLocation: location)
            #expect(fault.entryAddress == PhysicalAddress(address), sourceLocation: location)
            #expect(fault.isRecorded, sourceLocation: location)
            #expect(machine.dma(0x1000, pasid: pasid, rid: rid).reason == reason, sourceLocation: location)
            produced.insert(reason)
        }
        #expect(machine.resolve().context != nil && machine.resolve(1).context != nil)
        expect(.scalableRootNotPresent, at: 0x100010, rid: 0x100, change: nil)
        expect(.scalableRootReserved, at: root, change: (root, 0x101003))
        expect(.scalableRootReserved, at: root, rid: 0x80, change: (root + 8, 0x102001 | 1 << 46))
        expect(.scalableContextNotPresent, at: 0x101120, rid: 9, change: nil)
        expect(.scalableContextReserved, at: context, change: (context, machine.word(context) | 1 << 5))
        expect(.scalableContextReserved, at: context, change: (context + 8, 1 << 21))
        expect(.scalableContextReserved, at: context, change: (context + 16, 1))
        expect(.scalableContextReserved, at: context, change: (context + 24, 1 << 63))
        // DT is not there, so DTE is reserved, and RID_PRIV without RPRIVS.
        expect(.scalableContextReserved, at: context, change: (context, machine.word(context) | 4))
        expect(.scalableContextReserved, at: context, change: (context + 8, 1 << 20))
        expect(.pasidNotEnabled, at: context, pasid: 1, change: (context, machine.word(context) & ~8))
        expect(.pasidBeyondDirectory, at: context, pasid: 8192, change: (context, 0x110009))
        expect(.pasidIsRIDPASID, at: context, pasid: 0, change: nil)
        expect(.pasidIsRIDPASID, at: context, pasid: 1, change: (context + 8, 1))
        expect(.pasidDirectoryNotPresent, at: slot, change: (slot, machine.word(slot) & ~1))
        expect(.pasidDirectoryReserved, at: slot, change: (slot, machine.word(slot) | 4))
        expect(.pasidNotPresent, at: entry, change: (entry, 0))
        expect(.pasidReserved, at: entry, change: (entry, machine.word(entry) | 1 << 10))
        expect(.pasidReserved, at: entry, change: (entry + 8, 1 << 16))
        expect(.pasidReserved, at: entry, change: (entry + 24, 1))
        expect(.pasidReserved, at: entry, change: (entry + 32, 1))
        expect(.pasidInvalid, at: entry, change: (entry, 0x160001 | 2 << 6 | 3 << 2))
        machine.setEntry(1, ScalableMachine.nested)
        expect(.pasidInvalid, at: entry + 64, pasid: 1, change: (entry + 64 + 16, 1 << 40))
        try expectCapabilityFaults(&produced)
        #expect(produced == VTDFaultReasonCoverage.scalableLookup)
    }

    /// Faults that depend on other registers.
    private func expectCapabilityFaults(_ produced: inout Set<VTDFaultReason>) throws {
        var machine = try ScalableMachine(pasidBits: 8)
        machine.setEntry(0, ScalableMachine.second)
        machine.setEntry(256, ScalableMachine.second)
        #expect(machine.resolve(256).reason == .pasidBeyondSize)
        machine.hardware.registers.extendedCapability.rawValue |=
            VTDExtendedCapability.dt.mask | VTDExtendedCapability.prs.mask | VTDExtendedCapability.rprivs.mask
            | VTDExtendedCapability.srs.mask
        #expect(machine.resolve().context?.allowsDeviceTLB == false)
        let context = ScalableMachine.context.rawValue
        machine.set(context, machine.word(context) | 0x10)
        #expect(machine.resolve().reason == .scalableContextInvalid)
        machine.set(context, machine.word(context) | 0x4)
        #expect(machine.resolve().context?.allowsDeviceTLB == true)
        machine.set(context + 8, 1 << 20)
        #expect(machine.resolve().reason == .supervisorNotEnabled)
        machine.set(machine.place(0) + 16, 1)
        #expect(machine.resolve().context != nil)
        produced.formUnion([.pasidBeyondSize, .scalableContextInvalid, .supervisorNotEnabled])
    }

    @Test("Every translation type needs its capability", arguments: UInt64(0)...7)
    func translationTypes(code: UInt64) throws {
        let needed: [UInt64: BitField] = [
            1: VTDExtendedCapability.fsts, 2: VTDExtendedCapability.ssts, 3: VTDExtendedCapability.nest,
            4: VTDExtendedCapability.pt,
        ]
        var machine = try ScalableMachine()
        var entry = ScalableMachine.nested
        entry.word0 = entry.word0 & ~VTDPASIDEntry.pgtt.mask | VTDPASIDEntry.pgtt.encoded(code)
        machine.setEntry(0, entry)
        guard let field = needed[code] else {
            #expect(machine.resolve().reason == .pasidInvalid)
            return
        }
        #expect(machine.resolve().context != nil)
        machine.hardware.registers.extendedCapability.rawValue &= ~field.mask
        #expect(machine.resolve().reason == .pasidInvalid)
    }

    @Test("What a unit lacks is reserved in its PASID-table entries")
    func capabilityReserved() throws {
        let machine = try ScalableMachine(features: [.secondStage], pasidBits: 0)
        for (word, bit) in [(0, 9), (1, 23), (2, 2), (2, 4), (2, 12)] as [(UInt64, UInt64)] {
            machine.setEntry(0, ScalableMachine.second)
            let place = machine.place(0) + word * 8
            machine.set(place, machine.word(place) | 1 << bit)
            #expect(machine.resolve().reason == .scalableContextReserved, "PASIDE without ECAP.PASID")
            machine.set(ScalableMachine.context.rawValue, 0x110e01)
            #expect(machine.resolve().reason == .pasidReserved, "word \(word) bit \(bit)")
            machine.set(place, machine.word(place) & ~(1 << bit))
            #expect(machine.resolve().context != nil)
            machine.set(ScalableMachine.context.rawValue, 0x110e09)
        }
    }

    @Test("Fault Processing Disable anywhere on the way silences what comes after it", arguments: 0..<8)
    func faultProcessingDisable(mask: Int) throws {
        let machine = try ScalableMachine()
        machine.setEntry(0, ScalableMachine.second)
        let places = [ScalableMachine.context.rawValue, ScalableMachine.directory.rawValue, machine.place(0)]
        for (index, place) in places.enumerated() where mask >> index & 1 != 0 {
            machine.set(place, machine.word(place) | 2)
        }
        #expect(machine.resolve().context?.recordsFaults == (mask == 0))
        for (index, place) in places.enumerated() {
            let before = machine.word(place)
            machine.set(place, before & ~1)
            guard case .fault(let fault) = machine.resolve() else {
                Issue.record("no fault")
                continue
            }
            // An entry's own bit counts even where it is not present.
            #expect(fault.isRecorded == (mask & ((2 << index) - 1) == 0))
            machine.set(place, before)
        }
    }

    @Test("Structures that memory does not hold are unknown, page by page")
    func unknownMemory() throws {
        let machine = try ScalableMachine(directorySizeCode: 7)
        machine.setEntry(0, ScalableMachine.second)
        let context = ScalableMachine.context.rawValue
        // A directory whose second page is past the end of memory.
        machine.set(context, 0x1bf000 | 0xe09)
        machine.set(0x1bf000, 0x140001)
        #expect(machine.resolve().context != nil)
        #expect(machine.resolve(64 * 512) == .absent(page: PhysicalAddress(0x1c0000)))
        machine.set(0x1bf000, 0x77_0000_0001)
        #expect(machine.resolve() == .absent(page: PhysicalAddress(0x77_0000_0000)))
        machine.set(0x100000, 0x77_0000_1001)
        #expect(machine.resolve() == .absent(page: PhysicalAddress(0x77_0000_1000)))
        machine.set(context, ~0xfff | 0xe09)
        machine.set(0x100000, 0x101001)
        var wide = machine.hardware
        wide.registers.hostAddressWidth = 64
        // Past the end of the address space.
        #expect(
            wide.resolve(8, pasid: PASID(0xf_ffff), memory: machine.memory.view)
                == .absent(page: PhysicalAddress(0xffff_ffff_ffff_f000)))
    }

    @Test("The steps are the entries read, root first, up to the one at fault")
    func steps() throws {
        let machine = try ScalableMachine()
        machine.setEntry(64, ScalableMachine.first)
        func names(_ pasid: UInt32?) -> [String] {
            machine.hardware.steps(8, pasid: pasid.map { PASID($0)! }, memory: machine.memory.view).map(\.layout.name)
        }
        let steps = machine.hardware.steps(8, pasid: PASID(64), memory: machine.memory.view)
        #expect(steps.map(\.layout.name) == ["vtd.sm_root", "vtd.sm_context", "vtd.pasid_dir", "vtd.pasid"])
        #expect(steps.map(\.address.rawValue) == [0x100000, 0x101100, 0x110008, machine.place(64)])
        #expect(steps[3].words == ScalableMachine.first.words)
        #expect(steps.allSatisfy { $0.violations.isEmpty })
        #expect(names(nil) == ["vtd.sm_root", "vtd.sm_context", "vtd.pasid_dir"])
        #expect(names(0) == ["vtd.sm_root", "vtd.sm_context"])
        // A listing goes on where the device may not use the PASID, and so do its steps.
        let disabled = try ScalableMachine(pasidBits: 1, pasidEnabled: false)
        disabled.setEntry(64, ScalableMachine.first)
        func listed(_ asListed: Bool) -> [String] {
            disabled.hardware.steps(8, pasid: PASID(64), memory: disabled.memory.view, asListed: asListed)
                .map(\.layout.name)
        }
        #expect(listed(false) == ["vtd.sm_root", "vtd.sm_context"])
        #expect(listed(true) == ["vtd.sm_root", "vtd.sm_context", "vtd.pasid_dir", "vtd.pasid"])
        machine.set(0x101100, machine.word(0x101100) | 0x24)
        let damaged = machine.hardware.steps(8, pasid: nil, memory: machine.memory.view)
        #expect(damaged.map(\.violations) == [[], [BitRange(8, 5), BitRange(2, 2)]])
    }
}
