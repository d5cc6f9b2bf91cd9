import FoundationEssentials
import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("AMD image of a real kernel")
struct AMDImageTests {
    static let fixtures =
        #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        + "/Fixtures/images/"

    /// The `PT_LOAD` segments of `amdv1.elf` at their physical addresses.
    static func memory() throws -> PhysicalMemory {
        let file = [UInt8](try Data(contentsOf: URL(filePath: fixtures + "amdv1.elf")))
        func number(_ offset: Int, _ count: Int) -> UInt64 {
            (0..<count).reduce(0) { $0 | UInt64(file[offset + $1]) << UInt64(8 * $1) }
        }
        var memory = PhysicalMemory()
        for index in 0..<Int(number(56, 2)) {
            let header = Int(number(32, 8)) + 56 * index
            guard number(header, 4) == 1 else { continue }
            let start = Int(number(header + 8, 8))
            let size = Int(number(header + 32, 8))
            let region = try MappedRegion.anonymous(bytes: size)
            file.withUnsafeBytes { region.base.copyMemory(from: $0.baseAddress! + start, byteCount: size) }
            try memory.add(
                at: PhysicalAddress(number(header + 24, 8)), byteCount: UInt64(size), region: region)
        }
        return memory
    }

    static func unit() throws -> AMDUnitHardware {
        let registers: [String: UInt64] = ["devtab": 0x480_00ff, "control": 0x3f48f, "efr": 0x29d3]
        return try AMDUnitHardware(
            hostAddressWidth: 40, encryptionBit: nil, updatesAccessedDirty: false, named: { registers[$0] })
    }

    /// Requester, mode and domain as the kernel's groups give them; 02:00.0 is the alias of the bridge.
    static let devices: [(name: String, mode: Int, domainID: UInt32)] = [
        ("00:00.0", 3, 0x1), ("00:02.0", 3, 0x2), ("00:03.0", 3, 0x13), ("00:04.0", 3, 0x13), ("00:05.0", 3, 0x18),
        ("00:06.0", 3, 0x16), ("00:06.1", 3, 0x7), ("00:08.0", 3, 0x8), ("00:09.0", 3, 0x1a), ("00:0a.0", 3, 0xa),
        ("00:1f.0", 3, 0xb), ("00:1f.2", 3, 0xb), ("00:1f.3", 3, 0xb), ("01:00.0", 4, 0x11), ("02:00.0", 3, 0x18),
        ("02:01.0", 3, 0x18), ("02:02.0", 3, 0x18), ("03:00.0", 3, 0xd), ("40:00.0", 3, 0xe), ("41:00.0", 3, 0xf),
    ]

    @Test("The listing holds exactly the devices with a domain, and none of the 16,876 fillers")
    func devices() throws {
        let memory = try Self.memory()
        let unit = try Self.unit()
        let listing = unit.listing(memory: memory.view)
        #expect(listing.defects.isEmpty && listing.pages.count == 256 && !listing.rootIsAbsent)
        let found = listing.entries.map { entry -> String in
            let id = RequesterID(segment: 0, rid: entry.rid)
            let mode = (entry.resolution.context?.path.host?.configuration.topLevel ?? -1) + 1
            return "\(id) \(entry.pasid.label) \(mode) \(entry.resolution.context?.cacheTag ?? 0)"
        }
        #expect(found == Self.devices.map { "0000:\($0.name) - \($0.mode) \($0.domainID)" })
        var fillers = 0
        var untranslated = 0
        for rid in UInt16(0)..<0x8000 {
            switch unit.resolve(rid, pasid: nil, memory: memory.view) {
            case .context(let context) where context.path == .passThrough([]): fillers += 1
            case .untranslated: untranslated += 1
            default: break
            }
        }
        #expect(fillers == 16_876 && fillers + untranslated + Self.devices.count == 0x8000)
        #expect(unit.resolve(0x8000, pasid: nil, memory: memory.view).fault?.amd?.cause == .deviceBeyondTable)
    }

    @Test("Every mapping of the truth translates at its ends, and no byte beyond a run does as if it went on")
    func truth() throws {
        let memory = try Self.memory()
        let unit = try Self.unit()
        let text = try String(contentsOf: URL(filePath: Self.fixtures + "amdv1.truth.csv"), encoding: .utf8)
        let rows = text.split(separator: "\n").dropFirst().map { $0.split(separator: ",") }
        #expect(rows.count == 615)
        for row in rows {
            let rid = try #require(RequesterID(row[0])).rid
            let iova = try #require(parseInteger(row[2]))
            let size = try #require(parseInteger(row[3]))
            let pa = try #require(parseInteger(row[4]))
            let protection = try #require(Protection(row[5]))
            for offset in [0, size / 2, size - 1] {
                // The MSI window never translates, whatever is mapped there.
                guard !IOMMUHardware.interruptWindow.contains(IOVA(iova + offset)) else { continue }
                for access in [Access.read, .write] {
                    let outcome = unit.translate(
                        rid, pasid: nil, iova: IOVA(iova + offset), access: access, memory: memory.view)
                    if protection.contains(access.needs) {
                        #expect(outcome.address == PhysicalAddress(pa + offset), "\(row)")
                    } else {
                        #expect(outcome.fault?.amd?.flags.contains(.permission) == true, "\(row)")
                    }
                }
            }
            let next = unit.translate(
                rid, pasid: nil, iova: IOVA(iova &+ size), access: protection.contains(.read) ? .read : .write,
                memory: memory.view)
            if case .translated(let translation, _) = next {
                #expect(translation.pa != PhysicalAddress(pa &+ size) || translation.protection != protection, "\(row)")
            }
        }
    }

    @Test("The damaged device table entries of the image are found")
    func damage() throws {
        let memory = try Self.memory()
        let unit = try Self.unit()
        let entry = PhysicalAddress(0x480_2000)
        #expect(memory.word(at: entry) == 0x6000_0001_44b9_e803)
        #expect(memory.setWord(0x6000_0001_44b9_ee03, at: entry))
        let listing = unit.listing(memory: memory.view)
        #expect(listing.defects.map(\.rule) == [.amdDTEMode] && listing.defects[0].address == entry)
        #expect(listing.entries.count == Self.devices.count)
        #expect(unit.resolve(0x100, pasid: nil, memory: memory.view).fault?.amd?.cause == .pagingMode)
        #expect(memory.setWord(0x6000_0001_44b9_e403, at: entry))
        #expect(unit.listing(memory: memory.view).defects.isEmpty)
        let outcome = unit.translate(0x100, pasid: nil, iova: IOVA(0x100000), access: .read, memory: memory.view)
        #expect(outcome.fault?.amd?.cause == .invalidLevel)
    }
}
