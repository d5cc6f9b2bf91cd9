import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("AMD unit")
struct AMDUnitTests {
    @Test("V = 0 passes every request; V = TV = 1 in mode 0 passes what IR and IW allow, and nothing without them")
    func passThrough() throws {
        let machine = try AMDMachine()
        #expect(machine.resolve(8) == .untranslated)
        #expect(machine.dma(8, 0x1234) == .untranslated(PhysicalAddress(0x1234), context: nil))
        #expect(machine.dma(8, 0x1234, pasid: 5) == .untranslated(PhysicalAddress(0x1234), context: nil))
        for protection in [Protection.readWrite, .read, .write, []] {
            machine.setEntry(8, AMDDeviceTableEntry(passThroughWith: protection, domainID: 3))
            let context = try #require(machine.resolve(8).context)
            #expect(context.path == .passThrough(protection) && context.cacheTag == 3 && context.cachePASID == nil)
            #expect(context.entryAddress == PhysicalAddress(AMDMachine.base + 8 * 32))
            for access in [Access.read, .write, .execute] {
                let outcome = machine.dma(8, 0x7_1234_5678, access)
                if protection.contains(access.needs) {
                    #expect(outcome == .untranslated(PhysicalAddress(0x7_1234_5678), context: context))
                } else {
                    let reason = try #require(outcome.fault?.amd)
                    #expect(reason.event == .pageFault && reason.flags.contains([.present, .permission]))
                    #expect(reason.flags.contains(.write) == (access == .write))
                    #expect(outcome.fault?.entryAddress == context.entryAddress)
                }
            }
        }
    }

    @Test("A v1 entry translates with IR and IW ANDed, its domain id as tag, and no PASID in the cache key")
    func v1() throws {
        let machine = try AMDMachine()
        machine.setEntry(8, AMDMachine.v1Entry())
        let context = try #require(machine.resolve(8).context)
        #expect(context.cacheTag == 7 && context.cachePASID == nil && context.recordsFaults)
        let stage = try #require(context.path.host)
        #expect(stage.root == AMDMachine.v1 && stage.configuration.topLevel == 2)
        #expect(stage.configuration.maximumTopLevel == 5 && stage.configuration.maximumAddressBits == 64)
        #expect(machine.dma(8, 0x1234).address == PhysicalAddress(0x101234))
        #expect(machine.dma(8, 0x1234, .write).address == PhysicalAddress(0x101234))
        machine.setEntry(8, AMDMachine.v1Entry(protection: .read))
        #expect(machine.dma(8, 0x1234).address == PhysicalAddress(0x101234))
        #expect(machine.dma(8, 0x1234, .write).fault?.amd?.cause == .writePermission)
    }

    @Test("Each fault of a v1 walk gives its cause, event and flags")
    func v1Faults() throws {
        let machine = try AMDMachine()
        machine.setEntry(8, AMDMachine.v1Entry())
        typealias Flags = AMDFaultReason.Flags
        let cases: [(UInt64, Access, AMDFaultCause, Flags)] = [
            (AMDMachine.Special.readOnly, .write, .writePermission, [.present, .write, .permission]),
            (AMDMachine.Special.writeOnly, .read, .readPermission, [.present, .permission]),
            (AMDMachine.Special.reserved, .read, .pagingEntryReserved, [.present, .reserved]),
            (AMDMachine.Special.notPresent, .read, .notPresent, []),
            (AMDMachine.Special.badLevel, .read, .invalidLevel, .present),
            (AMDMachine.Special.badSize, .write, .invalidPageSize, [.present, .write]),
        ]
        for (page, access, cause, flags) in cases {
            let fault = try #require(machine.dma(8, page << 12, access).fault)
            #expect(fault.amd == AMDFaultReason(cause, flags: flags), "page \(page)")
            #expect(fault.entryAddress == PhysicalAddress(0x112000 + 8 * page))
            #expect(fault.amd?.event == .pageFault && fault.isRecorded)
        }
        #expect(machine.dma(8, 1 << 39).fault?.amd?.cause == .addressBeyondWidth)
        #expect(machine.dma(8, AMDMachine.Special.beyondMemory << 12).address == PhysicalAddress(0x900000))
        // A level skipped from the root to the last table: bits 38:21 must be 0.
        machine.set(0x110000, 0x112000 | 1 << 9 | 1 | 0x6000_0000_0000_0000)
        #expect(machine.dma(8, 0x1234).address == PhysicalAddress(0x101234))
        #expect(machine.dma(8, 0x20_1234).fault?.amd?.cause == .skippedLevelBits)
        // Six levels: the root has no leaves.
        machine.setEntry(9, AMDDeviceTableEntry(v1Root: AMDMachine.gcr3, mode: 6, domainID: 1))
        machine.set(AMDMachine.gcr3.rawValue, 0x6000_0000_0000_0001)
        #expect(machine.dma(9, 0).fault?.amd?.cause == .leafNotAllowed)
        machine.set(0x110000, 0x9999_9000 | 2 << 9 | 1 | 0x6000_0000_0000_0000)
        #expect(machine.dma(8, 0x1234) == .unknown(page: PhysicalAddress(0x9999_9000)))
    }

    @Test("SE and SA keep page faults unrecorded, but not illegal entries")
    func suppression() throws {
        let machine = try AMDMachine()
        for bit in [AMDDeviceTableEntry.se, AMDDeviceTableEntry.sa] {
            var entry = AMDMachine.v1Entry()
            entry.word1 |= bit.mask
            machine.setEntry(8, entry)
            #expect(machine.resolve(8).context?.recordsFaults == false)
            #expect(machine.dma(8, AMDMachine.Special.notPresent << 12).fault?.isRecorded == false)
            entry.word0 &= ~2
            machine.setEntry(8, entry)
            #expect(machine.dma(8, 0).fault?.isRecorded == false)
            entry.word0 |= 1 << 63
            machine.setEntry(8, entry)
            #expect(machine.dma(8, 0).fault?.isRecorded == true)
        }
    }

    @Test("Each fault of a device table entry gives its cause and event, in the order of the checks")
    func entryFaults() throws {
        let machine = try AMDMachine(features: AMDExtendedFeatures(hostLevels: 4, guestLevels: 4, gcr3Levels: 2))
        func cause(_ change: (inout AMDDeviceTableEntry) -> Void, guest: Bool = false) -> AMDFaultCause? {
            var entry = guest ? AMDMachine.v2Entry(glx: 1) : AMDMachine.v1Entry()
            change(&entry)
            machine.setEntry(8, entry)
            let fault = machine.resolve(8).fault
            #expect(fault?.entryAddress == PhysicalAddress(AMDMachine.base + 8 * 32))
            return fault?.amd?.cause
        }
        #expect(cause { $0.word0 |= 1 << 63 } == .deviceEntryReserved)
        #expect(cause { $0.word1 |= 1 << 42 } == .deviceEntryReserved)
        #expect(cause { $0.word0 = ($0.word0 | 1 << 2) & ~2 } == .deviceEntryReserved)
        #expect(cause { $0.word0 &= ~2 } == .translationInvalid)
        #expect(cause { $0.word0 |= 7 << 9 } == .pagingMode)
        #expect(cause { $0.word0 = $0.word0 & ~(7 << 9) | 5 << 9 } == .pagingMode)
        #expect(cause({ $0.word0 = $0.word0 & ~(3 << 56) | 2 << 56 }, guest: true) == .guestMode)
        #expect(cause({ $0.word0 |= 3 << 56 }, guest: true) == .guestMode)
        #expect(cause({ $0.word2 |= 1 << 54 }, guest: true) == .guestMode)
        #expect(cause({ $0.word2 |= 1 << 55 }, guest: true) == .guestMode)
        // Interrupt fields do not concern memory requests.
        var entry = AMDMachine.v1Entry()
        entry.word2 |= 1 | 1 << 59
        entry.word3 = .max
        machine.setEntry(8, entry)
        #expect(machine.resolve(8).context != nil)
        #expect(machine.resolve(256).fault == HardwareFault(.amd(AMDFaultReason(.deviceBeyondTable)), at: nil))
        #expect(machine.resolve(0xffff).fault?.amd?.event == .pageFault)
    }

    @Test("Guest translation needs EFR.GTSup and the control register's GTEn, GIoV needs GIoSup")
    func guestSupport() throws {
        let entry = AMDMachine.v2Entry(glx: 0)
        var noGIoV = AMDMachine.features
        noGIoV.rawValue &= ~(1 << 48)
        let cases: [(AMDExtendedFeatures?, AMDControl?, Bool)] = [
            (AMDMachine.features, nil, true), (nil, nil, false), (AMDExtendedFeatures(hostLevels: 6), nil, false),
            (AMDMachine.features, AMDControl(translationEnabled: true), true),
            (AMDMachine.features, AMDControl(translationEnabled: true, guestTranslationEnabled: false), false),
            (noGIoV, nil, false),
        ]
        for (features, control, works) in cases {
            let machine = try AMDMachine(features: features, control: control)
            machine.setGCR3([0: AMDMachine.v2], levels: 1)
            machine.setEntry(8, entry)
            #expect((machine.resolve(8).context != nil) == works)
            if !works { #expect(machine.resolve(8).fault?.amd?.cause == .guestMode) }
        }
    }

    @Test("The interrupt range is never translated, with or without a PASID; IommuEn = 0 passes everything else")
    func interruptsAndDisabled() throws {
        var machine = try AMDMachine()
        machine.setEntry(8, AMDMachine.v2Entry(glx: 0))
        for address: UInt64 in [0xfee0_0000, 0xfeef_ffff] {
            #expect(machine.dma(8, address) == .interrupt)
            #expect(machine.dma(8, address, .write, pasid: 3) == .interrupt)
        }
        #expect(machine.dma(8, 0xfedf_ffff).fault != nil && machine.dma(8, 0xfef0_0000).fault != nil)
        machine.hardware.registers.control = AMDControl(translationEnabled: false)
        #expect(machine.dma(8, 0xfef0_0000) == .untranslated(PhysicalAddress(0xfef0_0000), context: nil))
        #expect(machine.dma(8, 0xfee0_0000) == .interrupt)
    }

    @Test("The C-bit is cleared from the device table's address and from host roots")
    func encryption() throws {
        var machine = try AMDMachine(encryptionBit: 47)
        machine.hardware.registers.deviceTableBase.rawValue |= 1 << 47
        machine.setEntry(
            8, AMDDeviceTableEntry(v1Root: PhysicalAddress(0x8000_0011_0000), mode: 3, domainID: 1))
        #expect(machine.resolve(8).context?.path.host?.root == AMDMachine.v1)
        #expect(machine.dma(8, 0x1234).address == PhysicalAddress(0x101234))
        machine.setEntry(
            9, AMDDeviceTableEntry(v2GCR3Root: PhysicalAddress(0x8000_0012_0000), glx: 1, domainID: 1))
        machine.setGCR3([0: AMDMachine.v2, 600: AMDMachine.v2], levels: 2, bits: 1 << 47)
        #expect(machine.resolve(9).context?.path.first?.root == AMDMachine.v2)
        #expect(machine.dma(9, 0x1234, pasid: 600).address == PhysicalAddress(0x130234))
        #expect(machine.listing.root == PhysicalAddress(AMDMachine.base))
        #expect(machine.listing.entries.map(\.rid) == [8, 9, 9])
    }

    @Test("HAD asks for accessed and dirty bits where the unit has them and is told to set them")
    func hostAccessedDirty() throws {
        let able = AMDExtendedFeatures(hostLevels: 6, hostAccessedDirty: true)
        let cases: [(AMDExtendedFeatures?, Bool, UInt64, Bool)] = [
            (able, true, 3, true), (able, true, 1, true), (able, true, 0, false), (able, false, 3, false),
            (AMDMachine.features, true, 3, false), (nil, true, 3, false),
        ]
        for (features, updates, code, sets) in cases {
            let machine = try AMDMachine(features: features, updatesAccessedDirty: updates)
            var entry = AMDMachine.v1Entry()
            entry.word0 |= code << 7
            machine.setEntry(8, entry)
            #expect(machine.resolve(8).context?.path.host?.configuration.accessedDirty == sets)
            #expect(machine.dma(8, 0x1234, .write).address == PhysicalAddress(0x101234))
            #expect(machine.memory.word(at: PhysicalAddress(0x112008))! & 0x60 == (sets ? 0x60 : 0))
        }
    }

    @Test("The shapes that a unit offers follow HATS and GATS")
    func configurations() throws {
        var machine = try AMDMachine(features: AMDExtendedFeatures(hostLevels: 5, guestLevels: 4))
        func shape(_ format: PageTableFormatKind, _ topLevel: Int, _ signExtended: Bool = false) -> Int? {
            machine.hardware.configuration(format: format, topLevel: topLevel, signExtended: signExtended)?.addressBits
        }
        #expect((-1...6).map { shape(.amdV1, $0) } == [nil, 21, 30, 39, 48, 57, nil, nil])
        #expect(shape(.amdV1, 2, true) == nil)
        #expect((2...5).map { shape(.x86_64, $0) } == [nil, 47, nil, nil])
        #expect(shape(.x86_64, 3, true) == 48)
        #expect(shape(.vtdSecondStage, 3) == nil)
        let growing = machine.hardware.configuration(format: .amdV1, topLevel: 2, signExtended: false)
        #expect(growing?.maximumTopLevel == 4 && growing?.maximumAddressBits == 57)
        machine.hardware.registers.features = AMDMachine.features
        #expect(shape(.amdV1, 5) == 64)
        #expect(shape(.x86_64, 4) == 56 && shape(.x86_64, 4, true) == 57)
        machine.hardware.registers.features = nil
        #expect(shape(.amdV1, 5) == 64 && shape(.x86_64, 3) == nil)
        machine.hardware.registers.features = AMDExtendedFeatures(rawValue: 3 << 10)
        #expect(shape(.amdV1, 2) == nil)
    }

    @Test("A device table page that is not in memory is unknown")
    func absentTable() throws {
        var machine = try AMDMachine()
        machine.hardware.registers.deviceTableBase = AMDDeviceTableBase(
            table: PhysicalAddress(AMDMachine.base + 127 * 4096), pageCount: 512)
        #expect(machine.resolve(0) == .untranslated)
        #expect(machine.resolve(128) == .absent(page: PhysicalAddress(0x180000)))
        #expect(machine.dma(0xffff, 0) == .unknown(page: PhysicalAddress(0x37e000)))
        machine.hardware.registers.deviceTableBase.rawValue = 0xf_ffff_ffff_f1ff
        #expect(machine.resolve(0xffff) == .absent(page: PhysicalAddress(0x10_0000_001f_e000)))
    }
}
