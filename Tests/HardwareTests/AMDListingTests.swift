import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("AMD listing")
struct AMDListingTests {
    @Test("A table of every kind of entry lists the devices, their PASIDs and the pages, but no fillers")
    func everyKind() throws {
        let machine = try AMDMachine()
        for rid in UInt16(0)..<256 { machine.setEntry(rid, .blocked) }
        machine.setEntry(1, AMDMachine.v1Entry())
        machine.setEntry(2, AMDDeviceTableEntry(passThroughWith: .read, domainID: 2))
        machine.setEntry(3, AMDMachine.v2Entry(glx: 1, giov: true))
        machine.setEntry(4, AMDMachine.v2Entry(glx: 1, giov: false, domainID: 10))
        machine.setEntry(5, AMDDeviceTableEntry(word0: 0, word1: 0))
        machine.setEntry(6, AMDMachine.v1Entry())
        machine.setGCR3([0: AMDMachine.v2, 1: AMDMachine.v2, 700: AMDMachine.v2], levels: 2)
        let listing = machine.listing
        #expect(listing.defects.isEmpty && !listing.rootIsAbsent && listing.root == PhysicalAddress(AMDMachine.base))
        let names = listing.entries.map { "\($0.rid) \($0.pasid.label)" }
        #expect(
            names == ["1 -", "2 -", "3 -", "3 0x0", "3 0x1", "3 0x2bc", "4 -", "4 0x0", "4 0x1", "4 0x2bc", "6 -"])
        for entry in listing.entries {
            #expect(machine.resolve(entry.rid, entry.pasid?.rawValue) == entry.resolution)
            #expect(entry.resolution.context?.entryAddress == entry.entryAddress)
            #expect(entry.resolution.context?.deviceEntryAddress == entry.deviceEntryAddress)
        }
        typealias Page = LookupListing.Page
        let expected: [(UInt64, Page.Kind)] = [
            (0x100000, .amdDeviceTable), (0x101000, .amdDeviceTable), (0x120000, .amdGCR3Level2),
            (0x121000, .amdGCR3Level1), (0x122000, .amdGCR3Level1),
        ]
        #expect(listing.pages == expected.map { Page(address: PhysicalAddress($0.0), kind: $0.1) })
    }

    @Test("A nested device's PASIDs are listed through the host's tables, and the guest's pages are not the host's")
    func nested() throws {
        let machine = try AMDMachine()
        machine.setGCR3([0: AMDMachine.v2Guest, 1000: AMDMachine.v2Guest], levels: 2, offset: AMDMachine.base)
        machine.setEntry(8, AMDMachine.nestedEntry(glx: 1))
        let listing = machine.listing
        #expect(listing.entries.map(\.pasid) == [nil, PASID(0), PASID(1000)])
        for entry in listing.entries {
            #expect(machine.resolve(8, entry.pasid?.rawValue) == entry.resolution)
        }
        #expect(listing.pages.map(\.kind) == [.amdDeviceTable, .amdDeviceTable] && listing.defects.isEmpty)
    }

    @Test("Each defect cites its rule, the word and the requester")
    func defects() throws {
        typealias Change = (AMDMachine) -> Void
        func word(_ rid: UInt16, _ word: UInt64 = 0) -> PhysicalAddress {
            PhysicalAddress(AMDMachine.base + UInt64(rid) * 32 + 8 * word)
        }
        func edited(_ change: (inout AMDDeviceTableEntry) -> Void) -> AMDDeviceTableEntry {
            var entry = AMDMachine.v1Entry()
            change(&entry)
            return entry
        }
        let v2 = AMDMachine.v2Entry(glx: 1)
        let cases: [(Change, RuleID, Severity?, PhysicalAddress?, listed: Int)] = [
            ({ $0.setEntry(8, edited { $0.word0 |= 1 << 3 }) }, .amdDTEReserved, nil, word(8), 1),
            ({ $0.setEntry(8, edited { $0.word1 |= 1 << 42 }) }, .amdDTEReserved, nil, word(8, 1), 1),
            ({ $0.setEntry(8, edited { $0.word2 |= 1 | 1 << 59 }) }, .amdDTEReserved, .warning, word(8, 2), 1),
            ({ $0.setEntry(8, edited { $0.word0 |= 2 << 7 }) }, .amdDTEReserved, .warning, word(8), 1),
            ({ $0.setEntry(8, edited { $0.word0 |= 7 << 9 }) }, .amdDTEMode, nil, word(8), 1),
            ({ $0.setEntry(8, edited { $0.word0 &= ~2 }) }, .amdDTETranslationInvalid, nil, word(8), 1),
            ({ $0.setEntry(8, edited { $0.word0 &= ~1 }) }, .amdDTETranslationInvalid, .warning, word(8), 0),
            (
                { $0.setEntry(8, AMDDeviceTableEntry(word0: 0, word1: 5)) }, .amdDTETranslationInvalid, .warning,
                word(8, 1), 0
            ),
            (
                {
                    var entry = v2
                    entry.word2 |= 1 << 55
                    $0.setEntry(8, entry)
                }, .amdDTEGuest, nil, word(8), 1
            ),
            (
                {
                    $0.setEntry(8, v2)
                    $0.set(AMDMachine.gcr3.rawValue, 0x9999_9001)
                }, .amdGCR3Unreachable, nil, AMDMachine.gcr3, 1
            ),
            (
                {
                    $0.setEntry(8, v2)
                    $0.setGCR3([0: AMDMachine.v2, 3: PhysicalAddress(0x40_0000_0000)], levels: 2)
                    $0.set(0x121018, 0x5000 | 1 << 63 | 1)
                }, .amdGCR3Reserved, nil, PhysicalAddress(0x121018), 3
            ),
            (
                {
                    $0.setEntry(8, v2)
                    $0.setGCR3([0: AMDMachine.v2], levels: 2)
                    $0.set(0x121018, 0x5000)
                }, .amdGCR3Reserved, .warning, PhysicalAddress(0x121018), 2
            ),
            (
                {
                    $0.setEntry(8, AMDMachine.nestedEntry(glx: 0))
                    $0.set(0x112000 + 8 * 0x20, 0)
                }, .amdGCR3Unreachable, nil, word(8), 1
            ),
        ]
        for (number, test) in cases.enumerated() {
            let machine = try AMDMachine()
            test.0(machine)
            let listing = machine.listing
            #expect(listing.defects.map(\.rule) == [test.1], "case \(number): \(listing.defects)")
            #expect(listing.defects.first?.severity == test.2 && listing.defects.first?.rid == 8, "case \(number)")
            #expect(listing.defects.first?.address == test.3, "case \(number)")
            #expect(listing.entries.count == test.listed, "case \(number): \(listing.entries.map(\.pasid))")
        }
        var machine = try AMDMachine(control: AMDControl(rawValue: 1 | 1 << 34))
        machine.hardware.registers.deviceTableBase.rawValue |= 1 << 9
        #expect(machine.listing.defects.map(\.rule) == [.amdDeviceTable, .amdDeviceTable])
    }

    @Test("PASIDs wider than the unit's are listed with their fault and a warning")
    func wideTables() throws {
        let machine = try AMDMachine(features: AMDExtendedFeatures(hostLevels: 6, guestLevels: 4, pasidBits: 9))
        machine.setEntry(8, AMDMachine.v2Entry(glx: 1))
        machine.setGCR3([0: AMDMachine.v2, 512: AMDMachine.v2], levels: 2)
        let listing = machine.listing
        #expect(listing.entries.map(\.pasid) == [nil, PASID(0), PASID(512)])
        #expect(listing.entries[2].resolution.fault?.amd?.cause == .pasidBeyondTable)
        #expect(listing.entries[2].resolution == machine.resolve(8, 512))
        #expect(listing.defects.map(\.rule) == [.amdDTEGuest] && listing.defects[0].severity == .warning)
    }

    @Test("Untagged requests that GIoV sends to an empty entry are not listed")
    func emptyPASIDZero() throws {
        let machine = try AMDMachine()
        machine.setEntry(8, AMDMachine.v2Entry(glx: 0))
        machine.setGCR3([4: AMDMachine.v2], levels: 1)
        #expect(machine.listing.entries.map(\.pasid) == [PASID(4)])
        #expect(machine.resolve(8).fault?.amd?.cause == .gcr3NotValid)
    }

    @Test("Untagged requests that IR and IW block beside guest tables are not listed, the PASIDs are")
    func blockedUntagged() throws {
        let machine = try AMDMachine()
        machine.setEntry(
            8, AMDDeviceTableEntry(v2GCR3Root: AMDMachine.gcr3, glx: 0, giov: false, domainID: 1, protection: []))
        machine.setGCR3([4: AMDMachine.v2], levels: 1)
        #expect(machine.resolve(8).context?.path == .passThrough([]))
        #expect(machine.listing.entries.map(\.pasid) == [PASID(4)])
        #expect(machine.dma(8, 0x1234, pasid: 4).fault?.amd?.cause == .readPermission)
    }

    @Test("Device table pages that are not in memory are reported; without the first there is nothing")
    func absentPages() throws {
        var machine = try AMDMachine()
        machine.hardware.registers.deviceTableBase = AMDDeviceTableBase(
            table: PhysicalAddress(AMDMachine.base + 126 * 4096), pageCount: 4)
        let listing = machine.listing
        #expect(!listing.rootIsAbsent && listing.pages.count == 2)
        #expect(listing.defects.map(\.absentPage) == [PhysicalAddress(0x180000), PhysicalAddress(0x181000)])
        #expect(listing.defects.map(\.rid) == [256, 384])
        machine.hardware.registers.deviceTableBase = AMDDeviceTableBase(
            table: PhysicalAddress(0x50_0000), pageCount: 512)
        #expect(machine.listing.rootIsAbsent)
        #expect(machine.listing.pages.isEmpty && machine.listing.entries.isEmpty && machine.listing.defects.isEmpty)
    }

    @Test("A GCR3 tree that names one page everywhere is decoded once and listed up to the limit")
    func sharedTree() throws {
        let machine = try AMDMachine()
        for rid in UInt16(0)..<256 { machine.setEntry(rid, AMDMachine.v2Entry(glx: 2, giov: false)) }
        for index in UInt64(0)..<512 { machine.set(AMDMachine.gcr3.rawValue + 8 * index, AMDMachine.gcr3.rawValue | 1) }
        let listing = machine.listing
        #expect(listing.entries.filter { $0.pasid != nil }.count == AMDUnitHardware.pasidLimit)
        #expect(listing.entries.filter { $0.pasid == nil }.count == 256)
        #expect(listing.defects.map(\.rule) == [.tableBudgetExceeded])
        #expect(listing.pages.filter { $0.address == AMDMachine.gcr3 }.map(\.kind).count == 3)
        for entry in listing.entries.prefix(1000) {
            #expect(machine.resolve(entry.rid, entry.pasid?.rawValue) == entry.resolution)
        }
    }

    @Test("Whatever the words are, listing and lookup agree and nothing traps", arguments: 0..<40 as Range<UInt64>)
    func randomDamage(seed: UInt64) throws {
        var random = SplitMix(seed: seed)
        var machine = try AMDMachine(
            features: AMDExtendedFeatures(
                hostLevels: 4 + Int(seed % 3), guestLevels: 4 + Int(seed % 2), gcr3Levels: 1 + Int(seed % 3),
                pasidBits: 10 + Int(seed % 11), hostAccessedDirty: true),
            encryptionBit: seed % 4 == 0 ? 47 : nil, updatesAccessedDirty: seed % 5 == 0)
        if seed % 3 == 0 {
            machine.hardware.registers.control = AMDControl(translationEnabled: true, guestAddressesGCR3: seed % 2 == 0)
        }
        machine.setGCR3([0: AMDMachine.v2, 5: AMDMachine.v2, 600: AMDMachine.v2], levels: 2)
        for rid in UInt16(0)..<256 {
            let entries = [
                AMDMachine.v1Entry(), AMDMachine.v2Entry(glx: Int(random.next() % 3), giov: random.next() % 2 == 0),
                AMDMachine.nestedEntry(glx: Int(random.next() % 3), giov: random.next() % 2 == 0), .blocked,
                AMDDeviceTableEntry(passThroughWith: .write, domainID: 1),
            ]
            machine.setEntry(rid, entries[Int(random.next() % 5)])
        }
        // Flipped bits and pages of noise everywhere, pointers into the machine's memory among it.
        for _ in 0..<400 {
            let address = AMDMachine.base + random.next() % (128 * 512) * 8
            let old = machine.memory.word(at: PhysicalAddress(address))!
            let word =
                switch random.next() % 3 {
                case 0: old ^ 1 << (random.next() % 64)
                case 1: random.next()
                default: (AMDMachine.base + random.next() % 128 << 12) | random.next() & 0xfff | 1
                }
            machine.set(address, word)
        }
        let listing = machine.listing
        var listed = Set<String>()
        for entry in listing.entries {
            listed.insert("\(entry.rid) \(entry.pasid.label)")
        }
        let differing = listing.entries.first {
            machine.resolve($0.rid, $0.pasid?.rawValue) != $0.resolution
        }
        #expect(differing == nil)
        let order = listing.entries.map { (Int($0.rid), Int($0.pasid?.rawValue ?? 0) + ($0.pasid == nil ? 0 : 1)) }
        #expect(zip(order, order.dropFirst()).allSatisfy { $0 < $1 })
        for rid in UInt16(0)..<257 {
            for pasid: UInt32? in [nil, 0, 1, 5, 511, 512, 600, 0x3_ffff, 0xf_ffff] {
                _ = machine.hardware.steps(rid, pasid: pasid.flatMap { PASID($0) }, memory: machine.memory.view)
                let isListed = listed.contains("\(rid) \(pasid.flatMap { PASID($0) }.label)")
                if case .context(let context) = machine.resolve(rid, pasid) {
                    #expect(isListed || context.path == .passThrough([]), "\(rid) \(pasid ?? .max)")
                }
                for iova: UInt64 in [0x1234, 0x7f123, random.next()] {
                    for access in [Access.read, .write, .execute] { _ = machine.dma(rid, iova, access, pasid: pasid) }
                }
            }
        }
        #expect(listing.defects.allSatisfy { !$0.message.contains("\n") })
    }
}

/// Steele, Lea and Flood's generator: the same numbers for the same seed everywhere.
private struct SplitMix {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ z &>> 30) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ z &>> 27) &* 0x94d0_49bb_1331_11eb
        return z ^ z &>> 31
    }
}
