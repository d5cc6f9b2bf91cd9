import IOMMUModel
import Testing

@testable import Hardware

@Suite("VT-d structures of scalable mode")
struct VTDScalableStructureTests {
    @Test("Entries are encoded to the words that the specification gives")
    func words() {
        let tables = (PhysicalAddress(0x80_0000), PhysicalAddress(0x90_0000))
        #expect(
            VTDPASIDEntry(
                secondStage: tables.0, width: .bits48, domainID: 7, options: [.secondStageAccessedDirty, .walkSnoop]
            ).words == [0x80_0289, 0x80_0007, 0, 0, 0, 0, 0, 0])
        #expect(
            VTDPASIDEntry(
                firstStage: tables.1, isFiveLevel: true, domainID: 9, options: [.executeDisable, .pageSnoop]
            ).words == [0x41, 0x100_0009, 0x90_0024, 0, 0, 0, 0, 0])
        #expect(
            VTDPASIDEntry(
                firstStage: tables.1, isFiveLevel: false, over: tables.0, width: .bits57, domainID: 11,
                options: [.walkSnoop, .noFaultRecords]
            ).words == [0x80_00cf, 0x80_000b, 0x90_0000, 0, 0, 0, 0, 0])
        #expect(VTDPASIDEntry(passThroughWith: 1).words == [0x101, 1, 0, 0, 0, 0, 0, 0])
        #expect(
            VTDScalableContextEntry(
                directory: PhysicalAddress(0x70_0000), directorySizeCode: 7, pasidEnabled: true, deviceTLB: true,
                ridPASID: PASID(5)!
            ).words == [0x70_0e0d, 5, 0, 0])
        #expect(VTDPASIDDirectoryEntry(table: PhysicalAddress(0x70_1000)).word == 0x70_1001)
        #expect(
            VTDScalableRootEntry(upperTable: PhysicalAddress(0xabc_e000))
                == VTDScalableRootEntry(lower: 0, upper: 0xabc_e001))
    }

    @Test("The typed accessors agree with the field tables on every single bit")
    func accessorsAgree() throws {
        for bit in 0..<256 {
            var words = [UInt64](repeating: 0, count: 4)
            words[bit / 64] = 1 << UInt64(bit % 64)
            let entry = VTDScalableContextEntry(low: words[0], high: words[1], word2: words[2], word3: words[3])
            let values = try #require(VTDScalableContextEntry.layout.decode(words))
            func value(_ name: String) -> UInt64? { values.first { $0.field.name == name }?.value }
            #expect(entry.words == words)
            #expect(value("P") == (entry.isPresent ? 1 : 0))
            #expect(value("FPD") == (entry.faultProcessingDisabled ? 1 : 0))
            #expect(value("DTE") == (entry.allowsDeviceTLB ? 1 : 0))
            #expect(value("PASIDE") == (entry.pasidEnabled ? 1 : 0))
            #expect(value("PRE") == (entry.allowsPageRequests ? 1 : 0))
            #expect(value("PDTS") == UInt64(entry.directorySizeCode))
            #expect(value("PASIDDIRPTR") == entry.directory.rawValue)
            #expect(value("RID_PASID") == UInt64(entry.ridPASID.rawValue))
            #expect(value("RID_PRIV") == (entry.untaggedIsPrivileged ? 1 : 0))
            #expect(entry.isEmpty == (bit == 1) && !entry.isZero)
        }
        for bit in 0..<512 {
            var entry = VTDPASIDEntry(0)
            withUnsafeMutableBytes(of: &entry) {
                $0.storeBytes(of: 1 << UInt64(bit % 64), toByteOffset: bit / 64 * 8, as: UInt64.self)
            }
            #expect(entry.words[bit / 64] == 1 << UInt64(bit % 64))
            let values = try #require(VTDPASIDEntry.layout.decode(entry.words))
            func value(_ name: String) -> UInt64? { values.first { $0.field.name == name }?.value }
            #expect(value("P") == (entry.isPresent ? 1 : 0))
            #expect(value("FPD") == (entry.faultProcessingDisabled ? 1 : 0))
            #expect(value("AW") == UInt64(entry.addressWidthCode))
            #expect(value("PGTT") == UInt64(entry.translationTypeCode))
            #expect(value("SSADE") == (entry.secondStageAccessedDirty ? 1 : 0))
            #expect(value("SSPTPTR") == entry.secondStageRoot.rawValue)
            #expect(value("DID") == UInt64(entry.domainID))
            #expect(value("FSPM") == UInt64(entry.firstStageModeCode))
            #expect(value("SRE") == (entry.allowsSupervisor ? 1 : 0))
            #expect(value("NXE") == (entry.executeDisable ? 1 : 0))
            #expect(value("FSPTPTR") == entry.firstStageRoot.rawValue)
            #expect(entry.isEmpty == (bit == 1))
        }
    }

    @Test(
        "What is reserved depends on the unit: with all features only what the layout says, and addresses",
        arguments: [false, true])
    func reservedBits(hasAll: Bool) {
        var registers = VTDRegisters(
            rootTableAddress: VTDRootTableAddress(mode: .scalable, rootTable: PhysicalAddress(0)),
            capability: VTDCapability(widths: [.bits48], maximumGuestAddressWidth: 48),
            extendedCapability: VTDExtendedCapability(rawValue: hasAll ? ~0 : 0),
            globalStatus: VTDGlobalStatus(translationEnabled: true), hostAddressWidth: 46)
        if !hasAll { registers.capability.rawValue &= ~7 }
        let reserved = VTDReservedBits(registers)
        for bit in 0..<512 {
            var entry = VTDPASIDEntry(0)
            withUnsafeMutableBytes(of: &entry) {
                $0.storeBytes(of: 1 << UInt64(bit % 64), toByteOffset: bit / 64 * 8, as: UInt64.self)
            }
            let beyond = [0, 2, 4].contains(bit / 64) && bit % 64 >= 46
            let always =
                beyond || (10...11).contains(bit) || (80...86).contains(bit) || (136...139).contains(bit)
                || (192..<256).contains(bit) || (259..<268).contains(bit) || bit >= 336
            // P, FPD, AW, PGTT; four bits of the domain id; the two bits that revisions read differently.
            let never = bit < 5 || (6...8).contains(bit) || (64..<68).contains(bit) || bit == 133 || bit == 134
            #expect(reserved.hasViolation(entry) == (hasAll ? always : !never), "bit \(bit)")
            #expect(reserved.violations(entry).isEmpty == !reserved.hasViolation(entry), "bit \(bit)")
        }
        for bit in 0..<256 {
            var words = [UInt64](repeating: 0, count: 4)
            words[bit / 64] = 1 << UInt64(bit % 64)
            let entry = VTDScalableContextEntry(low: words[0], high: words[1], word2: words[2], word3: words[3])
            let always = (7...8).contains(bit) || (46..<64).contains(bit) || bit >= 64 + 21
            let never = bit < 2 || (9..<46).contains(bit)
            #expect(reserved.hasViolation(entry) == (hasAll ? always : !never), "bit \(bit)")
            #expect(reserved.violations(entry).isEmpty == !reserved.hasViolation(entry), "bit \(bit)")
        }
    }

    @Test("A PASID splits into a directory and a table index; its entries stand where these say")
    func indices() {
        for (pasid, directory, table): (UInt32, Int, Int) in [
            (0, 0, 0), (63, 0, 63), (64, 1, 0), (0x12345, 1165, 5), (0xf_ffff, 16383, 63),
        ] {
            let pasid = PASID(pasid)!
            #expect(VTDLookupIndex.directory(pasid) == directory)
            #expect(VTDLookupIndex.pasidTable(pasid) == table)
            let base = PhysicalAddress(0x10_0000)
            #expect(VTDLookupIndex.directoryEntry(pasid, in: base)?.rawValue == 0x10_0000 + UInt64(directory) * 8)
            #expect(VTDLookupIndex.pasidEntry(pasid, in: base)?.rawValue == 0x10_0000 + UInt64(table) * 64)
        }
        #expect(VTDLookupIndex.directoryEntry(PASID(0xf_ffff)!, in: PhysicalAddress(~0xfff)) == nil)
        #expect(VTDLookupIndex.scalableContextEntry(0xff, in: PhysicalAddress(0x1000))?.rawValue == 0x1fe0)
    }

    @Test("The registers of a real scalable-mode machine read as its kernel used them")
    func realRegisters() {
        let ecap = VTDExtendedCapability(rawValue: 0x49_0080_f00f_4a)
        #expect(ecap.scalableMode && ecap.secondStage && ecap.pasid && ecap.supervisorRequests && ecap.passThrough)
        #expect(!ecap.firstStage && !ecap.nested && !ecap.walkSnoop && !ecap.ridPASID && !ecap.secondStageAccessedDirty)
        #expect(!ecap.deviceTLB && !ecap.pageRequests && ecap.pasidBits == 1)
        let made = VTDExtendedCapability(scalable: .all, pasidBits: 20)
        #expect(made.scalableMode && made.firstStage && made.secondStage && made.nested && made.walkSnoop)
        #expect(made.ridPASID && made.secondStageAccessedDirty && made.pasid && made.pasidBits == 20)
        #expect(!VTDExtendedCapability(scalable: [.secondStage], pasidBits: 0).pasid)
        let cap = VTDCapability(
            widths: [.bits48], maximumGuestAddressWidth: 48, firstStage1G: true, firstStage5Level: true)
        #expect(cap.rawValue >> 56 & 1 == 1 && cap.rawValue >> 60 & 1 == 1)
        #expect(cap.firstStage1G && cap.firstStage5Level)
    }

    @Test("A unit is made from registers by name, of a kind that this version reads")
    func unitByName() throws {
        let all = [
            "rtaddr": UInt64(0x1_4155_d400), "cap": 0xd2_008c_222f_0606, "ecap": 0x49_0080_f00f_4a, "gsts": 0xc700_0000,
        ]
        let unit = try #require(try IOMMUHardware(kind: .intelVTd, hostAddressWidth: 48) { all[$0] })
        #expect(unit.kind == .intelVTd && unit.hostAddressWidth == 48 && unit.translationEnabled)
        #expect(Dictionary(unit.namedRegisters) { $1 } == all)
        #expect(!unit.updatesAccessedDirty)
        for name in ["rtaddr", "cap", "ecap"] {
            #expect(throws: IOMMUHardware.MissingRegister(name: name)) {
                try IOMMUHardware(kind: .intelVTd, hostAddressWidth: 48) { $0 == name ? nil : all[$0] }
            }
        }
        #expect(try IOMMUHardware(kind: .riscv, hostAddressWidth: 48) { all[$0] } == nil)
    }
}
