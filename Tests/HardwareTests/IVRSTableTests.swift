import IOMMUModel
import Testing

@testable import Hardware

@Suite("ACPI IVRS table")
struct IVRSTableTests {
    /// The table of the machine that `amdv1` was taken from.
    static let real = DMARTableTests.bytes(
        """
        49565253a800000001e1424f43485320425850432020202001000000425850430100000000280000000000000000000010d1780008\
        0040000000d8fe0000000000000000440000000200000002080000021000000300010004ff01000218000002200000022800004300\
        02000000020004ff020002300000023100000240000002480000025000000300030004ff030002f8000002fa000002fb0000020040\
        000300410004ff4100
        """)

    static var header: [UInt8] {
        var result = [UInt8](repeating: 0, count: 48)
        result.replaceSubrange(0..<4, with: Array("IVRS".utf8))
        result[37] = 48
        return result
    }

    static func bytes(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    static func ivhd(
        type: UInt8 = 0x10, rid: UInt16 = 2, base: UInt64 = 0xfd00_0000, segment: UInt16 = 0,
        features: UInt64 = 0x29d3, _ entries: [UInt8]
    ) -> [UInt8] {
        let more = type == 0x10 ? [] : bytes(features, 8) + bytes(0, 8)
        let size = 24 + more.count + entries.count
        return [type, 0] + bytes(UInt64(size), 2) + bytes(UInt64(rid), 2) + [0x40, 0] + bytes(base, 8)
            + bytes(UInt64(segment), 2) + bytes(0, 6) + more + entries
    }

    static func ivmd(type: UInt8, flags: UInt8, first: UInt16, last: UInt16, base: UInt64, size: UInt64) -> [UInt8] {
        [type, flags, 32, 0] + bytes(UInt64(first), 2) + bytes(UInt64(last), 2) + bytes(3, 2) + bytes(0, 6)
            + bytes(base, 8) + bytes(size, 8)
    }

    static func sealed(_ bytes: [UInt8]) -> [UInt8] { DMARTableTests.sealed(bytes) }

    @Test("A real table gives width, unit, requesters and aliases")
    func realTable() throws {
        let table = try IVRSTable(Self.real)
        #expect(table.physicalAddressBits == 40 && table.virtualAddressBits == 0 && !table.reportsFeatures)
        let unit = try #require(table.units.first)
        #expect(table.units.count == 1 && table.memory.isEmpty)
        #expect(unit.type == 0x10 && unit.rid == 8 && unit.segment == 0 && unit.features == nil)
        #expect(unit.registerBase == PhysicalAddress(0xfed8_0000))
        #expect(unit.entries.count == 19)
        for name in ["00:00.0", "00:02.0", "01:00.0", "01:1f.7", "02:01.0", "03:00.0", "40:00.0", "41:00.0"] {
            #expect(table.unitIndex(serving: RequesterID(name)!) == 0, "\(name)")
        }
        for name in ["00:01.0", "00:0b.0", "04:00.0", "0001:00:02.0"] {
            #expect(table.unitIndex(serving: RequesterID(name)!) == nil, "\(name)")
        }
        #expect(table.alias(of: RequesterID("02:01.0")!) == RequesterID("02:00.0"))
        #expect(table.alias(of: RequesterID("01:00.0")!) == RequesterID("01:00.0"))
        #expect(table.alias(of: RequesterID("7f:00.0")!) == RequesterID("7f:00.0"))
    }

    @Test("Every kind of device entry is read, and unknown short ones are passed over")
    func deviceEntries() throws {
        let entries: [UInt8] =
            [0x01, 0, 0, 0x11] + [0x00, 0, 0, 0] + [0x05, 9, 9, 9] + [0x40, 0, 0, 0, 1, 2, 3, 4]
            + [0x42, 0x08, 0x01, 0, 0, 0x00, 0x02, 0] + [0x43, 0x10, 0x01, 0, 0, 0x01, 0x02, 0] + [0x04, 0x17, 0x01, 0]
            + [0x46, 0x20, 0, 0xc0, 0, 0, 0, 0x80] + [0x47, 0x28, 0, 0, 0, 0, 0, 0] + [0x04, 0x2f, 0, 0]
            + [0x48, 0, 0, 0xd7, 7, 0xa0, 0x00, 1]
            + [0xf0, 0x98, 0, 0] + Array("AMDI0020".utf8) + Self.bytes(0, 8) + [2, 4] + Array("\\_SB".utf8)
        let table = try IVRSTable(
            Self.sealed(Self.header + [0x33, 0, 8, 0, 1, 2, 3, 4] + Self.ivhd(type: 0x40, entries)))
        let unit = table.units[0]
        #expect(unit.features == AMDExtendedFeatures(rawValue: 0x29d3))
        #expect(table.physicalAddressBits == 48)
        let expected: [IVRSDeviceEntry] = [
            .init(requesters: 0...0xffff, alias: nil, kind: .all, flags: 0x11),
            .init(requesters: 0x108...0x108, alias: 0x200, kind: .requesters, flags: 0),
            .init(requesters: 0x110...0x117, alias: 0x201, kind: .requesters, flags: 0),
            .init(requesters: 0x20...0x20, alias: nil, kind: .requesters, flags: 0xc0),
            .init(requesters: 0x28...0x2f, alias: nil, kind: .requesters, flags: 0),
            .init(requesters: 0xa0...0xa0, alias: nil, kind: .special(variety: 1, handle: 7), flags: 0xd7),
            .init(requesters: 0x98...0x98, alias: nil, kind: .acpiDevice(hardwareID: "AMDI0020"), flags: 0),
        ]
        #expect(unit.entries == expected)
        #expect(table.alias(of: RequesterID(segment: 0, rid: 0x113)) == RequesterID(segment: 0, rid: 0x201))
        #expect(table.unitIndex(serving: RequesterID(segment: 0, rid: 0xffff)) == 0)
        #expect(table.unitIndex(serving: RequesterID(segment: 0, rid: 2)) == nil)
    }

    @Test("One unit in several blocks counts once, by the highest type; a named requester goes before all")
    func severalBlocks() throws {
        let all: [UInt8] = [1, 0, 0, 0]
        let one: [UInt8] = [2, 0x50, 0, 0]
        let table = try IVRSTable(
            Self.sealed(
                Self.header + Self.ivhd(type: 0x40, base: 0x4000, all) + Self.ivhd(type: 0x10, base: 0x1000, one)
                    + Self.ivhd(type: 0x11, rid: 3, base: 0x2000, one) + Self.ivhd(rid: 2, segment: 1, all)))
        #expect(table.units.map(\.type) == [0x40, 0x11, 0x10])
        #expect(table.unitIndex(serving: RequesterID(segment: 0, rid: 0x50)) == 1)
        #expect(table.unitIndex(serving: RequesterID(segment: 0, rid: 0x51)) == 0)
        #expect(table.unitIndex(serving: RequesterID(segment: 1, rid: 0x51)) == 2)
        #expect(table.unitIndex(serving: RequesterID(segment: 2, rid: 0x51)) == nil)
    }

    @Test("Memory definitions of all three types are read")
    func memoryDefinitions() throws {
        let table = try IVRSTable(
            Self.sealed(
                Self.header + Self.ivmd(type: 0x20, flags: 8, first: 5, last: 1, base: 0x1000, size: 0x2000)
                    + Self.ivmd(type: 0x21, flags: 3, first: 0x28, last: 0, base: 0x8000_0000, size: 0x1_0000)
                    + Self.ivmd(type: 0x22, flags: 7, first: 0x100, last: 0x1ff, base: 0, size: 1)))
        #expect(table.memory.map(\.requesters) == [0...0xffff, 0x28...0x28, 0x100...0x1ff])
        #expect(table.memory.map(\.isUnityMapped) == [false, true, true])
        #expect(table.memory.map(\.isExclusion) == [true, false, false])
        #expect(table.memory.map(\.protection) == [[], .read, .readWrite])
        #expect(table.memory[1].range == PhysicalRange(first: .init(0x8000_0000), last: .init(0x8000_ffff)))
        #expect(table.memory.allSatisfy { $0.segment == 3 })
    }

    @Test("Each error has its cause")
    func errors() {
        func error(_ bytes: [UInt8]) -> IVRSError? {
            do throws(IVRSError) {
                _ = try IVRSTable(bytes)
                return nil
            } catch { return error }
        }
        func entries(_ bytes: [UInt8]) -> IVRSError? { error(Self.sealed(Self.header + Self.ivhd(bytes))) }
        #expect(error([]) == .truncated(offset: 0, expected: 48))
        #expect(error([UInt8](repeating: 1, count: 48)) == .notIVRS)
        #expect(error(Self.header) == .length(offset: 4, found: 0, expected: "48 to 48"))
        var bytes = Self.real
        bytes[60] ^= 1
        #expect(error(bytes) == .checksum)
        #expect(error(Self.sealed(Self.header + [0x10, 0, 3, 0])) == .length(offset: 50, found: 3, expected: "4 to 4"))
        #expect(
            error(Self.sealed(Self.header + [0x10, 0, 8, 0, 2, 0, 0, 0])) == .truncated(offset: 56, expected: 8))
        #expect(
            error(Self.sealed(Self.header + Self.ivhd(base: 0x1008, [])))
                == .value(offset: 56, found: 0x1008, expected: "a 4 KiB aligned register base"))
        #expect(entries([2, 0, 0]) == .truncated(offset: 75, expected: 1))
        #expect(entries([4, 0, 0, 0]) == .value(offset: 72, found: 0, expected: "a range begun before its end"))
        #expect(
            entries([3, 8, 0, 0, 4, 7, 0, 0]) == .value(offset: 76, found: 7, expected: "an end not below 0x8"))
        #expect(
            entries([3, 8, 0, 0, 2, 9, 0, 0])
                == .value(offset: 76, found: 2, expected: "the end of the range of byte 72"))
        #expect(entries([3, 8, 0, 0]) == .value(offset: 72, found: 8, expected: "a range that ends"))
        #expect(
            entries([0x90, 0, 0, 0])
                == .value(offset: 72, found: 0x90, expected: "a device entry whose length is known"))
        #expect(
            entries([0xf0, 0, 0, 0] + [UInt8](repeating: 0, count: 17) + [200])
                == .length(offset: 93, found: 200, expected: "0 to 0"))
        #expect(
            error(Self.sealed(Self.header + Self.ivmd(type: 0x22, flags: 0, first: 9, last: 8, base: 0, size: 1)))
                == .value(offset: 54, found: 8, expected: "an end not below 0x9"))
        #expect(
            error(Self.sealed(Self.header + Self.ivmd(type: 0x20, flags: 0, first: 0, last: 0, base: 2, size: .max)))
                == .value(
                    offset: 72, found: .max, expected: "a length that is not 0 and fits above 0x0000000000000002"))
    }

    @Test("No truncation and no changed byte traps, checksum made good again or not")
    func robustness() {
        var refused = 0
        var read = 0
        func attempt(_ bytes: [UInt8]) {
            do throws(IVRSError) {
                let table = try IVRSTable(bytes)
                _ = table.unitIndex(serving: RequesterID(segment: 0, rid: 0xffff))
                _ = table.alias(of: RequesterID(segment: 0, rid: 0x200))
                read += 1
            } catch {
                #expect(!error.description.contains("\n"))
                refused += 1
            }
        }
        for count in 0..<Self.real.count {
            attempt(Array(Self.real[..<count]))
            if count >= 48 { attempt(Self.sealed(Array(Self.real[..<count]))) }
        }
        for index in Self.real.indices {
            for mask: UInt8 in [0x01, 0x02, 0x10, 0x80, 0xff] {
                var bytes = Self.real
                bytes[index] ^= mask
                attempt(bytes)
                bytes[9] = 0
                bytes[9] = 0 &- bytes.reduce(0, &+)
                attempt(bytes)
            }
        }
        #expect(refused > 500 && read > 200)
    }
}
