import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("AMD guest translation")
struct AMDGuestTests {
    /// PASIDs at the ends of what GCR3 tables of one, two and three levels hold.
    static let pasids: [UInt32] = [0, 1, 511, 512, 0x3_ffff, 0x4_0000, 0xf_ffff]

    @Test("A PASID is looked up by nine bits per level, and one beyond the levels faults", arguments: 0...2)
    func levels(glx: Int) throws {
        let machine = try AMDMachine()
        machine.setEntry(8, AMDMachine.v2Entry(glx: glx, domainID: 9))
        let reach = UInt32(1) << UInt32(9 * (glx + 1))
        let inside = Self.pasids.filter { $0 < reach }
        // Guest roots that differ tell the entries apart.
        let guests = Dictionary(
            uniqueKeysWithValues: inside.enumerated().map { ($1, PhysicalAddress(0x4000_0000 + UInt64($0) << 12)) })
        machine.setGCR3(guests, levels: glx + 1)
        for pasid in Self.pasids {
            guard pasid < reach else {
                let fault = try #require(machine.resolve(8, pasid).fault)
                #expect(fault.amd?.cause == .pasidBeyondTable && fault.amd?.event == .pageFault)
                continue
            }
            let context = try #require(machine.resolve(8, pasid).context)
            #expect(context.path.first?.root == guests[pasid])
            #expect(context.cacheTag == 9 && context.cachePASID == PASID(pasid))
            #expect(context.deviceEntryAddress == PhysicalAddress(AMDMachine.base + 8 * 32))
            #expect(machine.memory.word(at: context.entryAddress) == guests[pasid]!.rawValue | 1)
            let shape = try #require(context.path.first?.configuration)
            #expect(shape.signExtended == (pasid != 0) && shape.addressBits == (pasid == 0 ? 47 : 48))
            let steps = machine.hardware.steps(8, pasid: PASID(pasid), memory: machine.memory.view)
            #expect(steps.map(\.layout.name) == ["amd.dte"] + [String](repeating: "amd.gcr3", count: glx + 1))
            #expect(steps.last?.address == context.entryAddress && steps.allSatisfy { $0.violations.isEmpty })
        }
        #expect(machine.resolve(8, 2).fault?.amd?.cause == .gcr3NotValid)
    }

    @Test("With GIoV untagged requests use the tables of PASID 0, otherwise they go the host's way")
    func untagged() throws {
        let machine = try AMDMachine()
        machine.setGCR3([0: AMDMachine.v2, 4: AMDMachine.v2], levels: 1)
        machine.setEntry(8, AMDMachine.v2Entry(glx: 0, giov: true))
        let context = try #require(machine.resolve(8).context)
        #expect(context.path.first?.root == AMDMachine.v2 && context.cachePASID == PASID(0))
        #expect(context == machine.resolve(8, 0).context)
        #expect(machine.dma(8, 0x1234).address == PhysicalAddress(0x130234))
        machine.setEntry(8, AMDMachine.v2Entry(glx: 0, giov: false))
        #expect(machine.resolve(8).context?.path == .passThrough(.readWrite))
        #expect(machine.resolve(8).context?.cachePASID == nil)
        #expect(machine.dma(8, 0x1234, pasid: 4).address == PhysicalAddress(0x130234))
        machine.setEntry(8, AMDMachine.nestedEntry(giov: false))
        #expect(machine.resolve(8).context?.path.host?.root == AMDMachine.v1)
        #expect(machine.dma(8, 0x1234).address == PhysicalAddress(0x101234))
        let steps = machine.hardware.steps(8, pasid: nil, memory: machine.memory.view)
        #expect(steps.map(\.layout.name) == ["amd.dte"])
    }

    @Test("IR and IW of the entry hold for guest tables too, and nested ones have the C-bit in the host's stage only")
    func rights() throws {
        let machine = try AMDMachine(encryptionBit: 47)
        machine.setGCR3([0: AMDMachine.v2], levels: 1)
        machine.setEntry(
            8, AMDDeviceTableEntry(v2GCR3Root: AMDMachine.gcr3, glx: 0, domainID: 1, protection: .read))
        #expect(machine.dma(8, 0x1234).address == PhysicalAddress(0x130234))
        #expect(machine.dma(8, 0x1234, .write).fault?.amd?.cause == .writePermission)
        #expect(machine.resolve(8).context?.path.first?.configuration.encryptionBit == 47)
        machine.setGCR3([0: AMDMachine.v2Guest], levels: 1, offset: AMDMachine.base)
        var entry = AMDMachine.v1Entry(protection: .read)
        entry.setGuest(gcr3Root: PhysicalAddress(AMDMachine.gcr3.rawValue - AMDMachine.base), glx: 0, giov: true)
        machine.setEntry(8, entry)
        let path = try #require(machine.resolve(8).context?.path)
        #expect(path.first?.configuration.encryptionBit == nil && path.host?.configuration.encryptionBit == 47)
        #expect(machine.dma(8, 0x1234).address == PhysicalAddress(0x130234))
        #expect(machine.dma(8, 0x1234, .write).fault?.amd?.cause == .writePermission)
    }

    @Test("A PASID at a device without guest translation is an invalid request")
    func pasidWithoutGuest() throws {
        let machine = try AMDMachine()
        for entry in [AMDMachine.v1Entry(), AMDDeviceTableEntry(passThroughWith: .readWrite, domainID: 1), .blocked] {
            machine.setEntry(8, entry)
            let reason = try #require(machine.dma(8, 0x1234, pasid: 1).fault?.amd)
            #expect(reason.cause == .pasidWithoutGuest && reason.event == .invalidDeviceRequest)
        }
    }

    @Test("PASID 0 has 47 bits without a sign, other PASIDs 48 with one; each fault of the walk gives its cause")
    func walk() throws {
        let machine = try AMDMachine()
        machine.setGCR3([0: AMDMachine.v2, 5: AMDMachine.v2], levels: 1)
        machine.setEntry(8, AMDMachine.v2Entry(glx: 0))
        let cases: [(UInt32?, UInt64, Access, AMDFaultCause?)] = [
            (nil, 0x1234, .write, nil), (0, 0x1234, .write, nil), (5, 0x1234, .write, nil),
            (5, 0xffff_8000_0000_1234, .read, nil), (5, 0x1234, .execute, nil),
            (0, 0xffff_8000_0000_1234, .read, .addressBeyondWidth), (0, 0x8000_0000_1234, .read, .addressBeyondWidth),
            (5, 0x8000_0000_1234, .read, .addressBeyondWidth), (5, 0x2000, .write, .writePermission),
            (5, 0x3000, .read, .userPermission), (5, 0x4000, .execute, .executePermission),
            (5, 0x4000, .read, nil), (5, 0x5000, .read, .notPresent),
        ]
        for (pasid, address, access, cause) in cases {
            let outcome = machine.dma(8, address, access, pasid: pasid)
            guard let cause else {
                #expect(outcome.address?.page == 0x130 + (address & 0xffff) >> 12 - 1, "\(address)")
                continue
            }
            let reason = try #require(outcome.fault?.amd)
            #expect(reason.cause == cause && reason.flags.contains(.guest) && reason.event == .pageFault)
            #expect(reason.flags.contains(.execute) == (access == .execute))
        }
        machine.set(0x11b008, 0x1_0000_0013_0067)
        #expect(machine.dma(8, 0x1000, pasid: 5).fault?.amd?.cause == .pagingEntryReserved)
    }

    @Test("Five-level guest tables have 57 bits, or 56 for PASID 0")
    func fiveLevels() throws {
        let machine = try AMDMachine()
        machine.setGCR3([0: AMDMachine.v2, 1: AMDMachine.v2], levels: 1)
        machine.setEntry(
            8, AMDDeviceTableEntry(v2GCR3Root: AMDMachine.gcr3, glx: 0, guestPagingMode: 1, domainID: 1))
        #expect(machine.resolve(8, 0).context?.path.first?.configuration.addressBits == 56)
        #expect(machine.resolve(8, 1).context?.path.first?.configuration.addressBits == 57)
        #expect(machine.resolve(8, 1).context?.path.first?.configuration.topLevel == 4)
    }

    @Test("Each fault of a GCR3 lookup gives its cause and the entry; an absent table is unknown")
    func gcr3Faults() throws {
        let machine = try AMDMachine(features: AMDExtendedFeatures(hostLevels: 6, guestLevels: 5, pasidBits: 16))
        machine.setGCR3([0: AMDMachine.v2, 513: AMDMachine.v2], levels: 3)
        machine.setEntry(8, AMDMachine.v2Entry(glx: 2))
        func cause(_ pasid: UInt32, at address: UInt64) -> AMDFaultCause? {
            let fault = machine.resolve(8, pasid).fault
            #expect(fault?.entryAddress == PhysicalAddress(address))
            #expect(fault?.amd?.event == .pageFault && fault?.amd?.flags.contains(.guest) == true)
            return fault?.amd?.cause
        }
        // 0x120000 root, 0x121000 level 2, 0x122000 PASIDs 0 to 511, 0x123000 PASIDs 512 to 1023.
        #expect(cause(1, at: 0x122008) == .gcr3NotValid)
        #expect(cause(1024, at: 0x121010) == .gcr3NotValid)
        #expect(cause(0x1_0000, at: AMDMachine.base + 8 * 32) == .pasidBeyondTable)
        machine.set(0x122000, AMDMachine.v2.rawValue | 3)
        #expect(cause(0, at: 0x122000) == .gcr3Reserved)
        machine.set(0x121008, 0x123001 | 1 << 60)
        #expect(cause(513, at: 0x121008) == .gcr3Reserved)
        machine.set(0x121000, 0x9999_9001)
        #expect(machine.resolve(8, 0) == .absent(page: PhysicalAddress(0x9999_9000)))
        #expect(machine.dma(8, 0, pasid: 0) == .unknown(page: PhysicalAddress(0x9999_9000)))
        let steps = machine.hardware.steps(8, pasid: PASID(513), memory: machine.memory.view)
        #expect(steps.map(\.address.rawValue) == [AMDMachine.base + 256, 0x120000, 0x121008])
        #expect(steps.last?.violations == [BitRange(63, 52)])
    }

    @Test("Nested: the guest's tables and the GCR3 table hold guest addresses that the host's tables translate")
    func nested() throws {
        let machine = try AMDMachine()
        machine.setGCR3([0: AMDMachine.v2Guest, 1000: AMDMachine.v2Guest], levels: 2, offset: AMDMachine.base)
        machine.setEntry(8, AMDMachine.nestedEntry(glx: 1))
        for pasid: UInt32? in [nil, 0, 1000] {
            let context = try #require(machine.resolve(8, pasid).context)
            guard case .nested(let first, let second) = context.path else {
                Issue.record("not nested")
                return
            }
            #expect(first.root == AMDMachine.v2Guest && second.root == AMDMachine.v1)
            #expect(first.configuration.format == .x86_64 && second.configuration.format == .amdV1)
            #expect(context.cacheTag == 11 && context.cachePASID == PASID(pasid ?? 0))
            #expect(machine.dma(8, 0x1234, .write, pasid: pasid).address == PhysicalAddress(0x130234))
            #expect(machine.dma(8, 0x2234, .write, pasid: pasid).fault?.amd?.cause == .writePermission)
        }
        // The host's rights count too, and its missing entries.
        machine.set(0x11f008, AMDMachine.Special.readOnly << 12 | 0x67)
        #expect(machine.dma(8, 0x1234, pasid: 1000).address == PhysicalAddress(0x178234))
        #expect(machine.dma(8, 0x1234, .write, pasid: 1000).fault?.amd?.cause == .writePermission)
        machine.set(0x11f008, AMDMachine.Special.notPresent << 12 | 0x67)
        #expect(machine.dma(8, 0x1234, pasid: 1000).fault?.amd?.cause == .notPresent)
        // The way to the GCR3 table of PASIDs 512 to 1023 is closed by the host.
        machine.set(0x120008, AMDMachine.Special.notPresent << 12 | 1)
        let fault = try #require(machine.resolve(8, 1000).fault)
        #expect(fault.amd?.cause == .gcr3Untranslated && fault.amd?.event == .pageFault)
        machine.set(0x120008, AMDMachine.Special.beyondMemory << 12 | 1)
        #expect(machine.resolve(8, 1000) == .absent(page: PhysicalAddress(0x900000)))
    }

    @Test(
        "Without GCR3TRPMode a nested entry's GCR3 table stands at host addresses; the guest CR3s are the guest's still"
    )
    func nestedHostGCR3() throws {
        let machine = try AMDMachine(control: AMDControl(translationEnabled: true, guestAddressesGCR3: false))
        machine.setGCR3([0: AMDMachine.v2Guest, 1000: AMDMachine.v2Guest], levels: 2)
        var entry = AMDMachine.v1Entry()
        entry.setGuest(gcr3Root: AMDMachine.gcr3, glx: 1, giov: true)
        machine.setEntry(8, entry)
        #expect(machine.resolve(8, 1000).context?.path.first?.root == AMDMachine.v2Guest)
        #expect(machine.dma(8, 0x1234, .write, pasid: 1000).address == PhysicalAddress(0x130234))
    }

    @Test("A lookup writes nothing, a nested walk sets the bits of both stages")
    func accessedDirty() throws {
        let machine = try AMDMachine(
            features: AMDExtendedFeatures(hostLevels: 6, guestLevels: 5, hostAccessedDirty: true),
            updatesAccessedDirty: true)
        machine.setGCR3([0: AMDMachine.v2Guest], levels: 1, offset: AMDMachine.base)
        var entry = AMDMachine.nestedEntry()
        entry.word0 |= 3 << 7
        machine.setEntry(8, entry)
        machine.set(0x11f008, 0x30000 | 7)
        let hostLeaf = PhysicalAddress(0x112000 + 8 * 0x20)
        #expect(machine.resolve(8, 0).context != nil)
        #expect(machine.memory.word(at: hostLeaf)! & 0x60 == 0)
        #expect(machine.dma(8, 0x1234, .write, pasid: 0).address == PhysicalAddress(0x130234))
        #expect(machine.memory.word(at: PhysicalAddress(0x11f008))! & 0x60 == 0x60)
        #expect(machine.memory.word(at: PhysicalAddress(0x112000 + 8 * 0x30))! & 0x60 == 0x60)
        let still = try AMDMachine(
            control: AMDControl(rawValue: 1 | 1 << 16 | 1 << 48), updatesAccessedDirty: true)
        still.setGCR3([0: AMDMachine.v2], levels: 1)
        still.setEntry(8, AMDMachine.v2Entry(glx: 0))
        #expect(still.resolve(8, 0).context?.path.first?.configuration.accessedDirty == false)
    }
}
