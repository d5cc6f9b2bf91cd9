import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("Random damage of VT-d structures")
struct VTDRandomDamageTests {
    /// The listing says of every requester and PASID what a request meets.
    private func checkAgreement(_ unit: VTDUnitHardware, _ memory: MemoryView, pasids: [UInt32], seed: UInt64) {
        let listing = unit.listing(memory: memory)
        var listed: [UInt64: Resolution] = [:]
        var last: (UInt16, Int64) = (0, -2)
        for entry in listing.entries {
            let key = (entry.rid, entry.pasid.map { Int64($0.rawValue) } ?? -1)
            #expect(last < key, "seed \(seed)")
            last = key
            listed[UInt64(entry.rid) << 32 | UInt64(bitPattern: key.1) & 0xffff_ffff] = entry.resolution
            let resolved = unit.resolve(entry.rid, pasid: entry.pasid, memory: memory)
            if entry.pasid != nil, resolved.reason == .pasidNotEnabled || resolved.reason == .pasidBeyondSize {
                continue
            }
            #expect(resolved == entry.resolution, "\(hex(UInt64(entry.rid))) \(entry.pasid.label), seed \(seed)")
            _ = unit.translate(entry.rid, pasid: entry.pasid, iova: IOVA(0x1000), access: .write, memory: memory)
        }
        for rid: UInt16 in Array(0..<24) + Array(0x7c..<0x98) + Array(0xfc..<0x10c) {
            for pasid in [nil] + pasids.map({ PASID($0) }) {
                let resolved = unit.resolve(rid, pasid: pasid, memory: memory)
                guard resolved.context != nil else { continue }
                let key = UInt64(rid) << 32 | (pasid.map { UInt64($0.rawValue) } ?? 0xffff_ffff)
                #expect(listed[key] == resolved, "\(hex(UInt64(rid))) \(pasid.label), seed \(seed)")
            }
        }
        for defect in listing.defects { #expect(defect.address.map { $0.isAligned(toLog2: 3) } == true) }
        #expect(listing.pages == Set(listing.pages).sorted())
    }

    @Test("Listing and single requests agree whatever the scalable structures hold", arguments: 0..<40)
    func scalable(round: Int) throws {
        var machine = try ScalableMachine(directorySizeCode: UInt8(round % 4), pasidEnabled: round % 3 != 0)
        let pasids: [UInt32] = [0, 1, 2, 63, 64, 65, 8191, 65535]
        for (index, pasid) in pasids.enumerated() {
            machine.setEntry(
                pasid, [ScalableMachine.first, ScalableMachine.second, ScalableMachine.nested][index % 3])
        }
        for rid: UInt16 in [9, 0x7f, 0x80, 0xff] {
            machine.setContext(
                rid,
                VTDScalableContextEntry(
                    directory: ScalableMachine.directory, directorySizeCode: 7, pasidEnabled: true,
                    ridPASID: PASID(pasids[Int(rid) % 8])!))
        }
        let seed = UInt64(round) &* 0x9e37_79b9
        var random = SplitMix(seed: seed)
        let pages: [UInt64] = [0x100000, 0x101000, 0x102000, 0x110000, 0x11f000, 0x140000, 0x141000, 0x142000]
        for _ in 0..<12 {
            damage(machine.memory, pages, &random)
            if random.next() % 8 == 0 {
                machine.hardware.registers.extendedCapability.rawValue ^= 1 << (random.next() % 56)
            }
            checkAgreement(machine.hardware, machine.memory.view, pasids: pasids, seed: seed)
        }
    }

    @Test("Listing and single requests agree whatever the legacy structures hold", arguments: 0..<40)
    func legacy(round: Int) throws {
        let machine = try SmallMachine()
        for devfn: UInt8 in [0, 8, 0x7f, 0xff] { machine.setContext(devfn, SmallMachine.translated) }
        machine.setContext(9, VTDContextEntry(passThroughWith: .bits48, domainID: 1))
        let seed = UInt64(round) &* 0x85eb_ca6b
        var random = SplitMix(seed: seed)
        for _ in 0..<12 {
            damage(machine.memory, [0x10000, 0x11000], &random)
            checkAgreement(machine.hardware, machine.memory.view, pasids: [0, 1], seed: seed)
        }
    }

    /// Some words near those in use change: bits flip, pointers go astray, words are copied.
    private func damage(_ memory: PhysicalMemory, _ pages: [UInt64], _ random: inout SplitMix) {
        for _ in 0..<(1 + random.next() % 6) {
            let page = pages[Int(random.next() % UInt64(pages.count))]
            let slot = random.next() % 3 == 0 ? random.next() % 512 : random.next() % 80
            let address = PhysicalAddress(page + slot * 8)
            guard let word = memory.word(at: address) else { continue }
            let other = pages[Int(random.next() % UInt64(pages.count))]
            let new: UInt64 =
                switch random.next() % 6 {
                case 0: word ^ 1 << (random.next() % 64)
                case 1: other | 1
                case 2: word & 0xfff | other
                case 3: memory.word(at: PhysicalAddress(other + random.next() % 512 * 8)) ?? 0
                case 4: 0
                default: random.next()
                }
            precondition(memory.setWord(new, at: address))
        }
    }
}

/// Steele, Lea and Flood's generator: the same numbers for the same seed everywhere.
private struct SplitMix {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var z = state
        z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
        z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
        return z ^ (z >> 31)
    }
}
