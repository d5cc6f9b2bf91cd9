import IOMMUModel
import Testing

@testable import Hardware

@Suite("VT-d structures")
struct VTDStructureTests {
    @Test("A context entry is encoded to the words that the specification gives")
    func contextWords() {
        let translated = VTDContextEntry(root: PhysicalAddress(0x5000), width: .bits48, domainID: 0x12)
        #expect(translated == VTDContextEntry(low: 0x5001, high: 0x1202))
        let tlb = VTDContextEntry(root: PhysicalAddress(0x5000), width: .bits39, domainID: 0xffff, deviceTLB: true)
        #expect(tlb == VTDContextEntry(low: 0x5005, high: 0xff_ff01))
        #expect(VTDContextEntry(passThroughWith: .bits48, domainID: 1) == VTDContextEntry(low: 0x9, high: 0x102))
        #expect(VTDRootEntry(contextTable: PhysicalAddress(0xabcd000)) == VTDRootEntry(low: 0xabcd001, high: 0))
        #expect(
            VTDRootTableAddress(mode: .abortDMA, rootTable: PhysicalAddress(0x1234_5000)).rawValue == 0x1234_5c00)
    }

    @Test("The typed accessors of a context entry agree with the field table on every single bit")
    func accessorsAgree() throws {
        for bit in 0..<128 {
            let words: [UInt64] = bit < 64 ? [1 << UInt64(bit), 0] : [0, 1 << UInt64(bit - 64)]
            let entry = VTDContextEntry(low: words[0], high: words[1])
            let values = try #require(VTDContextEntry.layout.decode(words))
            func value(_ name: String) -> UInt64? { values.first { $0.field.name == name }?.value }
            #expect(value("P") == (entry.isPresent ? 1 : 0))
            #expect(value("FPD") == (entry.faultProcessingDisabled ? 1 : 0))
            #expect(value("TT") == entry.translationType.rawValue)
            #expect(value("SSPTPTR") == entry.root.rawValue)
            #expect(value("AW") == UInt64(entry.addressWidthCode))
            #expect(value("AVAIL") == UInt64(entry.available))
            #expect(value("DID") == UInt64(entry.domainID))
        }
    }

    /// Those of SMMUv3 leave out what IHI 0070 calls RES0 or ignored.
    @Test("Every bit is a field's or reserved, never both", arguments: StructureLayout.all)
    func layoutTiles(layout: StructureLayout) {
        for word in 0..<layout.wordCount {
            var seen: UInt64 = 0
            for field in layout.fields where field.word == word {
                #expect(seen & field.mask == 0)
                seen |= field.mask
            }
            for range in layout.reserved where range.word == word {
                #expect(seen & range.mask == 0)
                seen |= range.mask
            }
            #expect(seen == .max || layout.name.hasPrefix("smmu."))
        }
    }

    @Test(
        "Each reserved bit of root and context entries is a violation, alone and at every address width",
        arguments: [39, 46, 52, 64])
    func reservedBits(width: Int) {
        for bit in 0..<128 {
            let low: UInt64 = bit < 64 ? 1 << UInt64(bit) : 0
            let high: UInt64 = bit < 64 ? 0 : 1 << UInt64(bit - 64)
            let beyond = bit < 64 && bit >= width
            let root = VTDRootEntry(low: low, high: high)
            let rootReserved = (1...11).contains(bit) || bit >= 64 || beyond
            #expect(root.hasViolation(hostAddressWidth: width) == rootReserved)
            #expect(root.violations(hostAddressWidth: width).isEmpty == !rootReserved)
            let context = VTDContextEntry(low: low, high: high)
            let contextReserved = (4...11).contains(bit) || bit == 64 + 7 || bit >= 64 + 24 || beyond
            #expect(context.hasViolation(hostAddressWidth: width) == contextReserved)
            #expect(context.violations(hostAddressWidth: width).isEmpty == !contextReserved)
        }
    }

    @Test("The registers of a real machine read as its kernel used them")
    func realRegisters() {
        let cap = VTDCapability(rawValue: 0xd2_008c_222f_0606)
        #expect(cap.domainIDBits == 16)
        #expect(cap.maximumGuestAddressWidth == 48)
        #expect(cap.supports(.bits39) && cap.supports(.bits48) && !cap.supports(.bits57))
        #expect(cap.supports2M && cap.supports1G)
        let ecap = VTDExtendedCapability(rawValue: 0xf42)
        #expect(ecap.passThrough && ecap.queuedInvalidation)
        #expect(!ecap.deviceTLB && !ecap.snoopControl && !ecap.scalableMode)
        #expect(VTDExtendedCapability(rawValue: 0x49_0080_f00f_4a).scalableMode)
        let status = VTDGlobalStatus(rawValue: 0xc400_0000)
        #expect(status.translationEnabled && status.rootTablePointerSet && status.queuedInvalidationEnabled)
        #expect(!status.interruptRemappingEnabled)
        #expect(VTDRootTableAddress(rawValue: 0x1_43ff_5000).mode == .legacy)
        #expect(VTDRootTableAddress(rawValue: 0x1_4155_d400).mode == .scalable)
    }

    @Test("Registers made for a simulated unit read back as asked for")
    func madeRegisters() {
        let cap = VTDCapability(widths: [.bits39, .bits57], maximumGuestAddressWidth: 57, supports1G: false)
        #expect(cap.supports(.bits39) && !cap.supports(.bits48) && cap.supports(.bits57))
        #expect(cap.maximumGuestAddressWidth == 57 && cap.domainIDBits == 16)
        #expect(cap.supports2M && !cap.supports1G)
        let ecap = VTDExtendedCapability(snoopControl: true, deviceTLB: true, passThrough: false)
        #expect(ecap.snoopControl && ecap.deviceTLB && !ecap.passThrough)
        #expect(VTDGlobalStatus(translationEnabled: true).translationEnabled)
        #expect(!VTDGlobalStatus(translationEnabled: false).translationEnabled)
    }

    @Test("Registers by name need rtaddr, cap and ecap, and take translation as on without gsts")
    func registersByName() throws {
        let all = ["rtaddr": UInt64(0x5000), "cap": 0x606, "ecap": 0]
        let registers = try VTDRegisters(hostAddressWidth: 48) { all[$0] }
        #expect(registers.globalStatus.translationEnabled)
        for name in all.keys {
            #expect(throws: VTDRegisters.Missing(name: name)) {
                try VTDRegisters(hostAddressWidth: 48) { $0 == name ? nil : all[$0] }
            }
        }
    }
}
