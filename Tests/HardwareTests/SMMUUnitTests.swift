import IOMMUModel
import PageTables
import Testing

@testable import Hardware

/// A stream table and stage 2 tables in 2 MiB of memory.
private final class StreamMachine {
    static let base: UInt64 = 0x4000_0000
    var memory = PhysicalMemory()
    var registers: SMMURegisters

    /// A table for StreamIDs of `bits` bits, at the beginning of memory; `split`: two levels.
    init(bits: UInt64, split: UInt64? = nil, features: UInt64? = 9, sizes: UInt64? = 0x14, width: Int = 52) throws {
        let region = try MappedRegion.anonymous(bytes: 2 << 20)
        try memory.add(at: PhysicalAddress(Self.base), byteCount: 2 << 20, region: region)
        registers = SMMURegisters(
            streamTableBase: Self.base, streamTableConfig: bits | (split.map { $0 << 6 | 1 << 16 } ?? 0),
            features: features, sizes: sizes, hostAddressWidth: width)
    }

    var unit: SMMUUnitHardware { SMMUUnitHardware(registers: registers) }

    func set(_ address: UInt64, _ word: UInt64) { precondition(memory.setWord(word, at: PhysicalAddress(address))) }

    func resolve(_ rid: UInt16, _ pasid: PASID? = nil) -> Resolution {
        unit.resolve(rid, pasid: pasid, memory: memory.view)
    }

    /// An entry of stage 2 at `address`: 44 bits from the vendor's level 0 on, root at 0x40100000.
    func setStage2(_ address: UInt64, word2: UInt64 = 0x44c_3594_0000_000c, root: UInt64 = 0x4010_0000) {
        set(address, 0xd)
        set(address + 16, word2)
        set(address + 24, root)
    }
}

extension Resolution {
    fileprivate var smmuReason: SMMUFaultReason? {
        guard case .fault(let fault) = self, case .smmu(let reason) = fault.reason else { return nil }
        return reason
    }
}

@Suite("SMMUv3: from a StreamID to its tables")
struct SMMUUnitTests {
    @Test("A linear table: 64 bytes a stream, nothing beyond LOG2SIZE")
    func linear() throws {
        let machine = try StreamMachine(bits: 8)
        for rid in [0, 1, 63, 64, 255] as [UInt16] {
            let address = StreamMachine.base + UInt64(rid) * 64
            #expect(machine.resolve(rid).smmuReason == .entryNotValid)
            machine.setStage2(address)
            let context = try #require(machine.resolve(rid).context)
            #expect(context.entryAddress == PhysicalAddress(address) && context.cacheTag == 12)
            #expect(machine.unit.steps(rid, memory: machine.memory.view).map(\.address) == [PhysicalAddress(address)])
        }
        #expect(machine.resolve(256).smmuReason == .badStreamID)
        #expect(machine.resolve(0xffff).smmuReason == .badStreamID)
        let listing = machine.unit.listing(memory: machine.memory.view)
        #expect(listing.entries.map(\.rid) == [0, 1, 63, 64, 255] && listing.defects.isEmpty)
        #expect(listing.pages.count == 4 && listing.pages.allSatisfy { $0.kind == .smmuStreamTable })
    }

    @Test("Two levels: the upper bits choose a descriptor, whose span bounds the lower ones", arguments: [6, 8, 10])
    func twoLevels(split: Int) throws {
        let machine = try StreamMachine(bits: 16, split: UInt64(split))
        let array = StreamMachine.base + 0x2_0000
        let index: UInt64 = 3
        let first = UInt16(index << UInt64(split))
        let place = StreamMachine.base + index * 8
        #expect(machine.resolve(first).smmuReason == .badStreamID)
        for span in 1...split + 1 {
            // Bits below the array's size do not count.
            machine.set(place, array | UInt64(span) | (span > 1 ? 1 << 6 : 0))
            let last = first + UInt16((1 << (span - 1)) - 1)
            let address = array + UInt64(last - first) * 64
            machine.setStage2(address)
            #expect(machine.resolve(last).context?.entryAddress == PhysicalAddress(address))
            let steps = machine.unit.steps(last, memory: machine.memory.view)
            #expect(steps.map(\.address) == [PhysicalAddress(place), PhysicalAddress(address)])
            if span <= split { #expect(machine.resolve(last + 1).smmuReason == .badStreamID) }
            let listing = machine.unit.listing(memory: machine.memory.view)
            #expect(listing.entries.map(\.rid).contains(last) && listing.entries.allSatisfy { $0.rid <= last })
            machine.set(address, 0)
        }
        machine.set(place, array | UInt64(split + 2))
        #expect(machine.resolve(first).smmuReason == .badStreamID)
        #expect(machine.unit.listing(memory: machine.memory.view).defects.map(\.rule) == [.smmuStreamTable])
        machine.set(place, 0x80_0000_0000 | 1)
        #expect(machine.resolve(first) == .absent(page: PhysicalAddress(0x80_0000_0000)))
    }

    @Test("Config")
    func config() throws {
        let machine = try StreamMachine(bits: 8)
        let pasid = PASID(7)
        func resolve(_ config: UInt64, _ pasid: PASID? = nil) -> Resolution {
            machine.setStage2(StreamMachine.base)
            machine.set(StreamMachine.base, 1 | config << 1)
            return machine.resolve(0, pasid)
        }
        #expect(resolve(0).context?.path == .passThrough([]))
        for config in 1...3 as ClosedRange<UInt64> {
            let fault = resolve(config)
            #expect(fault.smmuReason == .configReserved)
            // Aborted without an event.
            if case .fault(let fault) = fault { #expect(!fault.isRecorded && fault.reason.code == 0) }
        }
        #expect(resolve(4).context?.path == .passThrough(.readWrite))
        #expect(resolve(4, pasid).smmuReason == .badSubstreamID)
        machine.registers.features = 11
        #expect(resolve(5).smmuReason == .notRead && resolve(7).smmuReason == .notRead)
        #expect(resolve(6).context?.path.first?.root == PhysicalAddress(0x4010_0000))
        #expect(resolve(6, pasid).smmuReason == .badSubstreamID)
        machine.registers.features = 10
        #expect(resolve(6).smmuReason == .configUnsupported)
        machine.registers.features = 9
        #expect(resolve(5).smmuReason == .configUnsupported && resolve(7).smmuReason == .configUnsupported)
        // An entry that aborts on purpose is not listed, one that is reserved is.
        _ = resolve(0)
        #expect(machine.unit.listing(memory: machine.memory.view).entries.isEmpty)
        _ = resolve(3)
        #expect(machine.unit.listing(memory: machine.memory.view).entries.count == 1)
    }

    @Test("Stage 2: start level and input size fit each other, and the unit", arguments: [0, 2, 4, 5] as [UInt64])
    func startLevel(oas: UInt64) throws {
        let machine = try StreamMachine(bits: 8, sizes: oas | 16)
        let width = [32, 36, 40, 42, 44, 48][Int(oas)]
        // One root table, or up to 16 of them, by the start level (DDI 0487 D8.2.2): the input bits of each.
        let single = [22...30, 31...39, 40...48]
        let concatenated = [31...34, 40...43, 49...52]
        for code in 0...3 as ClosedRange<UInt64> {
            for t0sz in 0...63 as ClosedRange<UInt64> {
                machine.setStage2(
                    StreamMachine.base, word2: 0x44c_0000_0000_0000 | 1 << 50 | code << 38 | t0sz << 32 | 1 << 16)
                let bits = 64 - Int(t0sz)
                let found = machine.resolve(0)
                let isInUnit = bits >= 25 && bits <= min(width, 48)
                // The vendor's level 0 needs 44 bits of output.
                let canBegin = code < 2 || width >= 44
                if code == 3 || bits < 25 {
                    #expect(found.smmuReason == .notRead)
                } else if canBegin, isInUnit, single[Int(code)].contains(bits) {
                    let configuration = try #require(found.context?.path.first?.configuration)
                    #expect(configuration.topLevel == Int(code) + 1 && configuration.addressBits == bits)
                    #expect(configuration.hostAddressWidth == min(width, 44))
                } else if canBegin, isInUnit, concatenated[Int(code)].contains(bits) {
                    #expect(found.smmuReason == .notRead)
                } else {
                    #expect(found.smmuReason == .stage2Illegal, "SL0 \(code) T0SZ \(t0sz)")
                }
            }
        }
    }

    @Test("Stage 2: what an entry says of flags, granule and byte order")
    func stage2Fields() throws {
        let machine = try StreamMachine(bits: 8, features: 9 | 1 << 6)
        let usual: UInt64 = 0x44c_3594_0000_000c
        func resolve(_ word2: UInt64, root: UInt64 = 0x4010_0000) -> Resolution {
            machine.setStage2(StreamMachine.base, word2: word2, root: root)
            return machine.resolve(0)
        }
        #expect(resolve(usual).context?.recordsFaults == true)
        #expect(resolve(usual & ~(1 << 58)).context?.recordsFaults == false)
        #expect(resolve(usual & ~(1 << 51)).smmuReason == .stage2Illegal)
        #expect(resolve(usual | 3 << 46).smmuReason == .stage2Illegal)
        for granule in [1, 2] as [UInt64] { #expect(resolve(usual | granule << 46).smmuReason == .notRead) }
        #expect(resolve(usual | 1 << 52).smmuReason == .notRead)
        #expect(resolve(usual, root: 1 << 44).smmuReason == .stage2Illegal)
        // The access flag: looked at, ignored, or set.
        let clear = PageTableEntry.decode(
            0x4000_00c1, level: 2, configuration: try #require(resolve(usual).context?.path.first?.configuration))
        #expect(clear.kind == .invalid(.accessFlag))
        for bit in [53, 56] as [UInt64] {
            let shape = try #require(resolve(usual | 1 << bit).context?.path.first?.configuration)
            let entry = PageTableEntry.decode(0x4000_00c1, level: 2, configuration: shape)
            #expect(entry.kind == .leaf(PhysicalAddress(0x4000_0000), pageSizeLog2: 30))
            #expect(!shape.accessedDirty)
        }
        var unit = machine.unit
        unit.updatesAccessedDirty = true
        #expect(
            unit.resolve(0, pasid: nil, memory: machine.memory.view).context?.path.first?.configuration.accessedDirty
                == true)
        // More than the unit can update.
        #expect(resolve(usual | 1 << 55).smmuReason == .stage2Illegal)
        machine.registers.features = 9
        #expect(resolve(usual | 1 << 56).smmuReason == .stage2Illegal)
        machine.registers.features = 9 | 2 << 6
        #expect(resolve(usual | 1 << 55).smmuReason == .notRead)
        // Tables of other forms.
        #expect(resolve(usual | 1 << 60).smmuReason == .notRead)
        for bit in [2, 3] as [UInt64] { #expect(resolve(usual, root: 0x4010_0000 | 1 << bit).smmuReason == .notRead) }
        machine.registers.features = 13
        #expect(resolve(usual & ~(1 << 51)).smmuReason == .notRead)
        machine.registers.features = 5
        #expect(resolve(usual).smmuReason == .stage2Illegal)
        // VMIDs of 8 bits, and a unit without the granule.
        machine.registers.features = 9
        #expect(resolve(usual | 0x100).smmuReason == .stage2Illegal)
        machine.registers.features = 9 | 1 << 18
        #expect(resolve(usual | 0x100).context?.cacheTag == 0x10c)
        machine.registers.sizes = 4
        #expect(resolve(usual).smmuReason == .stage2Illegal)
    }

    @Test("Requests: translated, faulted with the event's number, passed where translation is off")
    func requests() throws {
        let machine = try StreamMachine(bits: 8)
        machine.setStage2(StreamMachine.base)
        machine.set(0x4010_0000, 0x4010_1003)
        // 1 GiB, read only; 2 MiB without its access flag; a block above the output size; a page of two levels below.
        machine.set(0x4010_1000, 0x8000_0000 | 0x441)
        machine.set(0x4010_1008, 0x4010_2003)
        machine.set(0x4010_2000, 0x9000_0000 | 0x0c1)
        machine.set(0x4010_2008, 0x2000_0000_0000 | 0x4c1)
        func ask(_ iova: UInt64, _ access: Access = .read) -> RequestOutcome {
            machine.unit.translate(0, pasid: nil, iova: IOVA(iova), access: access, memory: machine.memory.view)
        }
        func code(_ outcome: RequestOutcome) -> UInt8? {
            if case .fault(let fault) = outcome { fault.reason.code } else { nil }
        }
        #expect(ask(0x1234).address == PhysicalAddress(0x8000_1234))
        // The doorbell is an address like others.
        #expect(ask(0x3ee0_0000).address == PhysicalAddress(0xbee0_0000))
        #expect(code(ask(0x1234, .write)) == 0x13)
        #expect(code(ask(0x4000_0000)) == 0x12)
        #expect(code(ask(0x4020_0000)) == 0x11)
        #expect(code(ask(0x4040_0000)) == 0x10)
        #expect(code(ask(1 << 44)) == 0x11)
        // Passed unchanged, up to the output size.
        machine.set(StreamMachine.base, 9)
        #expect(ask(0x1234).address == PhysicalAddress(0x1234))
        #expect(code(ask(1 << 44)) == 0x11)
        machine.registers.control = 0
        #expect(ask(1 << 44) == .fault(HardwareFault(.smmu(.globalAbort), at: nil, isRecorded: false)))
        #expect(ask(0x1234) == .untranslated(PhysicalAddress(0x1234), context: nil))
        machine.registers.globalBypass = 1 << 20
        #expect(ask(0x1234) == .fault(HardwareFault(.smmu(.globalAbort), at: nil, isRecorded: false)))
    }

    @Test("Registers are found again by their names")
    func names() throws {
        let values: [String: UInt64] = [
            "strtab_base_lo": 0x39d_8000, "strtab_base_hi": 0x4000_0001, "strtab_base_cfg": 0x1_0210, "cr0": 0xd,
            "idr0": 0xd44_1019, "idr1": 0x273_0010, "idr5": 0x74, "cr2": 6, "gbpa": 0x1000,
        ]
        let unit = try SMMUUnitHardware(hostAddressWidth: 52, updatesAccessedDirty: false) { values[$0] }
        #expect(unit.registers.streamTable == PhysicalAddress(0x1_039d_8000))
        #expect(unit.registers.isTwoLevel && unit.registers.split == 8 && unit.registers.streamBits == 16)
        #expect(unit.registers.outputBits == 44)
        #expect(Dictionary(uniqueKeysWithValues: unit.namedRegisters.map { ($0.name, $0.value) }) == values)
        for name in ["strtab_base_lo", "strtab_base_hi", "strtab_base_cfg"] {
            #expect(throws: IOMMUHardware.MissingRegister(name: name)) {
                try SMMUUnitHardware(hostAddressWidth: 52, updatesAccessedDirty: false) {
                    $0 == name ? nil : values[$0]
                }
            }
        }
    }

    @Test("A split of more bits than StreamIDs have leaves one descriptor")
    func smallTable() throws {
        let machine = try StreamMachine(bits: 4, split: 6)
        let array = StreamMachine.base + 0x2_0000
        machine.set(StreamMachine.base, array | 7)
        for rid in [0, 15, 16] as [UInt64] { machine.setStage2(array + rid * 64) }
        #expect(machine.resolve(15).context != nil && machine.resolve(16).smmuReason == .badStreamID)
        #expect(machine.unit.listing(memory: machine.memory.view).entries.map(\.rid) == [0, 15])
        // What the unit has is a limit beside it.
        machine.registers.streamTableConfig |= 16
        #expect(machine.resolve(16).context != nil)
        machine.registers.streamSizes = 4
        #expect(machine.resolve(16).smmuReason == .badStreamID)
        machine.registers.eventControl = 0
        if case .fault(let fault) = machine.resolve(16) { #expect(!fault.isRecorded) }
    }

    @Test("No registers trap", arguments: 0...255)
    func anyRegisters(width: Int) throws {
        let machine = try StreamMachine(bits: 8, width: width)
        machine.setStage2(StreamMachine.base)
        // The same each time.
        var state = UInt64(width) &* 0x9e37_79b9_7f4a_7c15 | 1
        func next() -> UInt64 {
            state ^= state << 13
            state ^= state >> 7
            state ^= state << 17
            return state
        }
        for _ in 0..<40 {
            let values = (0..<6).map { _ in next() >> (next() & 63) }
            machine.registers.streamTableConfig = values[0]
            machine.registers.streamTableBase = StreamMachine.base | values[1] & 0xfff
            (machine.registers.features, machine.registers.sizes) = (values[2], values[3])
            (machine.registers.streamSizes, machine.registers.eventControl) = (values[4], values[5])
            _ = machine.unit.listing(memory: machine.memory.view, budget: LookupBudget(devices: 100))
            for rid in [0, 255, 0xffff] as [UInt16] {
                _ = machine.resolve(rid)
                _ = machine.unit.steps(rid, memory: machine.memory.view)
            }
            for top in 0...5 {
                _ = machine.unit.configuration(
                    format: .armv8Stage2, topLevel: top, addressBits: Int(values[0] & 63), signExtended: false)
            }
        }
    }
}
