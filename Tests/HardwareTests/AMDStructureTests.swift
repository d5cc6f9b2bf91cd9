import IOMMUModel
import Testing

@testable import Hardware

@Suite("AMD structures")
struct AMDStructureTests {
    @Test("A device table entry is encoded to the words that the specification gives")
    func entryWords() {
        let root = PhysicalAddress(0x500_0000)
        #expect(
            AMDDeviceTableEntry(v1Root: root, mode: 3, domainID: 5).words == [0x6000_0000_0500_0603, 5, 0, 0])
        #expect(
            AMDDeviceTableEntry(v1Root: root, mode: 6, domainID: 5, deviceTLB: true, hostAccessedDirty: true).words
                == [0x6000_0000_0500_0d83, 0x1_0000_0005, 0, 0])
        #expect(
            AMDDeviceTableEntry(passThroughWith: .readWrite, domainID: 1).words == [0x6000_0000_0000_0003, 1, 0, 0])
        #expect(AMDDeviceTableEntry(passThroughWith: .read, domainID: 1).word0 == 0x2000_0000_0000_0003)
        #expect(AMDDeviceTableEntry.blocked.words == [3, 0, 0, 0])
        #expect(
            AMDDeviceTableEntry(
                v2GCR3Root: PhysicalAddress(0x1_2345_6789_a000), glx: 1, guestPagingMode: 1, domainID: 6
            ).words == [0x69c0_0000_0000_0003, 0x1234_5000_cf13_0006, 0x0040_0000_0000_0000, 0])
        #expect(AMDDeviceTableBase(table: PhysicalAddress(0x400_0000), pageCount: 512).rawValue == 0x400_01ff)
        #expect(AMDGCR3Entry(pointer: PhysicalAddress(0x700_0000)).rawValue == 0x700_0001)
    }

    @Test("The typed accessors of a device table entry agree with the field table on every single bit")
    func accessorsAgree() throws {
        for bit in 0..<256 {
            var words = [UInt64](repeating: 0, count: 4)
            words[bit / 64] = 1 << UInt64(bit % 64)
            let entry = AMDDeviceTableEntry(word0: words[0], word1: words[1], word2: words[2], word3: words[3])
            let values = try #require(AMDDeviceTableEntry.layout.decode(words))
            func value(_ name: String) -> UInt64? { values.first { $0.field.name == name }?.value }
            func flag(_ name: String) -> Bool { value(name) == 1 }
            #expect(flag("V") == entry.isValid)
            #expect(flag("TV") == entry.translationValid)
            #expect(value("HAD") == UInt64(entry.hostAccessedDirtyCode))
            #expect(value("Mode") == UInt64(entry.mode))
            #expect(value("HostPTRoot") == entry.hostRoot.rawValue)
            #expect(flag("GIoV") == entry.guestIOProtection)
            #expect(flag("GV") == entry.guestTranslation)
            #expect(value("GLX") == UInt64(entry.guestLevelsCode))
            #expect(flag("IR") == entry.protection.contains(.read))
            #expect(flag("IW") == entry.protection.contains(.write))
            #expect(value("DomainID") == UInt64(entry.domainID))
            #expect(flag("I") == entry.allowsDeviceTLB)
            #expect(flag("SE") == entry.suppressesRepeatedFaults)
            #expect(flag("SA") == entry.suppressesFaults)
            #expect(flag("IV") == entry.interruptMapValid)
            #expect(value("GuestPagingMode") == UInt64(entry.guestPagingModeCode))
            let scattered = [("GCR3_14_12", 12), ("GCR3_30_15", 15), ("GCR3_51_31", 31)]
                .reduce(UInt64(0)) { $0 | (value($1.0) ?? 0) << UInt64($1.1) }
            #expect(entry.gcr3Root.rawValue == scattered)
            let reserved = (2...6).contains(bit) || bit == 63 || bit == 64 + 42
            #expect(entry.hasMemoryViolation == reserved)
            #expect(entry.memoryViolations.isEmpty == !reserved)
            let interrupts = [128 + 52, 128 + 53, 128 + 59].contains(bit) || (192..<246).contains(bit)
            #expect(entry.interruptViolations.isEmpty == !interrupts)
        }
    }

    @Test("A GCR3 address comes back from its three places, each of its bits")
    func scatteredAddress() {
        for bit in 12..<52 {
            let root = PhysicalAddress(1 << UInt64(bit))
            let entry = AMDDeviceTableEntry(v2GCR3Root: root, glx: 2, domainID: 0xffff)
            #expect(entry.gcr3Root == root)
            #expect(entry.domainID == 0xffff && entry.hostRoot.rawValue == 0 && !entry.hasMemoryViolation)
        }
        let most = PhysicalAddress(0xf_ffff_ffff_f000)
        var entry = AMDDeviceTableEntry(v1Root: most, mode: 4, domainID: 0xffff)
        entry.setGuest(gcr3Root: most, glx: 2, giov: true)
        #expect(entry.gcr3Root == most && entry.hostRoot == most && entry.mode == 4)
        entry.setGuest(gcr3Root: PhysicalAddress(0x1000), glx: 0, giov: false)
        #expect(entry.gcr3Root == PhysicalAddress(0x1000) && entry.guestLevelsCode == 0 && !entry.guestIOProtection)
        #expect(entry.domainID == 0xffff && entry.hostRoot == most)
    }

    @Test("Only an entry that lets nothing pass is a blocked one")
    func blockedEntries() {
        #expect(AMDDeviceTableEntry.blocked.isBlocked)
        // A domain id, an interrupt table and left-over pointers change nothing.
        #expect(AMDDeviceTableEntry(word0: 0x1000_0000_1234_5183, word1: 0xffff_0000_0000_0005, word2: 1).isBlocked)
        for bit in [0, 1, 2, 6, 9, 10, 11, 55, 61, 62, 63] {
            let entry = AMDDeviceTableEntry(word0: 3 ^ 1 << UInt64(bit), word1: 0)
            #expect(!entry.isBlocked, "bit \(bit)")
        }
        #expect(!AMDDeviceTableEntry(word0: 3, word1: 1 << 42).isBlocked)
    }

    @Test("The registers of a real machine read as its kernel used them")
    func realRegisters() {
        let base = AMDDeviceTableBase(rawValue: 0x480_00ff)
        #expect(base.table == PhysicalAddress(0x480_0000) && base.pageCount == 256 && base.entryCount == 0x8000)
        #expect(base.violations.isEmpty)
        let features = AMDExtendedFeatures(rawValue: 0x29d3)
        #expect(features.hostLevels == 6 && features.guestTranslation && features.guestLevels == 5)
        #expect(features.gcr3Levels == 1 && features.pasidBits == 1)
        #expect(!features.guestIOProtection && !features.hostAccessedDirty)
        let control = AMDControl(rawValue: 0x3f48f)
        #expect(control.translationEnabled && control.guestTranslationEnabled && !control.guestAddressesGCR3)
        #expect(control.deviceTableSegmentsLog2 == 0 && control.guestAccessedDirty)
    }

    @Test("Registers made for a simulated unit read back as asked for")
    func madeRegisters() {
        for levels in 4...6 {
            let features = AMDExtendedFeatures(hostLevels: levels)
            #expect(features.hostLevels == levels && features.guestLevels == 0 && !features.guestTranslation)
        }
        let features = AMDExtendedFeatures(
            hostLevels: 5, guestLevels: 4, gcr3Levels: 2, pasidBits: 16, hostAccessedDirty: true)
        #expect(features.guestLevels == 4 && features.gcr3Levels == 2 && features.pasidBits == 16)
        #expect(features.guestIOProtection && features.hostAccessedDirty)
        #expect(AMDExtendedFeatures(rawValue: 3 << 10).hostLevels == 0)
        #expect(!AMDControl(translationEnabled: false).translationEnabled)
        #expect(!AMDControl(translationEnabled: true, guestTranslationEnabled: false).guestTranslationEnabled)
        #expect(!AMDControl(translationEnabled: true, guestAddressesGCR3: false).guestAddressesGCR3)
    }

    @Test("Registers by name need devtab only and are named again as they are known")
    func registersByName() throws {
        let all: [String: UInt64] = ["devtab": 0x480_00ff, "control": 0x3f48e, "efr": 0x29d3]
        func unit(_ names: [String]) throws -> AMDUnitHardware {
            try AMDUnitHardware(hostAddressWidth: 40, encryptionBit: 47, updatesAccessedDirty: false) {
                names.contains($0) ? all[$0] : nil
            }
        }
        let full = try unit(["devtab", "control", "efr"])
        #expect(full.namedRegisters.map(\.name) == ["devtab", "control", "efr"])
        #expect(full.namedRegisters.map(\.value) == [0x480_00ff, 0x3f48e, 0x29d3])
        #expect(!full.translationEnabled && full.registers.encryptionBit == 47)
        let least = try unit(["devtab"])
        #expect(least.translationEnabled && least.namedRegisters.map(\.name) == ["devtab"])
        #expect(throws: IOMMUHardware.MissingRegister(name: "devtab")) { try unit(["control", "efr"]) }
        #expect(
            AMDRegisters(deviceTableBase: .init(rawValue: 0), hostAddressWidth: 48, encryptionBit: 70).encryptionBit
                == nil)
    }

    @Test("Every cause has an event, flags that fit it and one line")
    func reasons() {
        for cause in AMDFaultCause.allCases {
            let reason = AMDFaultReason(cause, flags: cause.flags)
            #expect(FaultReason.amd(reason).code == cause.event.rawValue)
            #expect(reason.description.contains(cause.event.name) && reason.description.contains(cause.meaning))
            #expect(!reason.description.contains("\n"))
            #expect(cause.flags.contains(.permission) == cause.rawValue.hasSuffix("Permission"))
            #expect(cause.flags.contains(.reserved) == cause.rawValue.hasSuffix("Reserved"))
        }
        #expect(
            AMDFaultReason(.writePermission, request: .write, guest: false).description
                == "event 2h IO_PAGE_FAULT (PR RW PE): no write permission")
        #expect(AMDFaultReason(.notPresent, request: .execute, guest: true).flags.description == "GN NX US")
        #expect(AMDFaultReason(.translationInvalid).flags.description == "-")
    }
}
