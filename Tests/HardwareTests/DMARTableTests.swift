import IOMMUModel
import Testing

@testable import Hardware

@Suite("ACPI DMAR table")
struct DMARTableTests {
    /// The table of the machine that `vtd48` was taken from.
    static let real: [UInt8] = bytes(
        """
        444d4152b800000001cf424f4348532042585043202020200100000042585043010000002f000000000000000000000000008800\
        000000000000d9fe000000000308000000ff000001080000000000000208000000000100020800000000020001080000000003000\
        108000000000400020800000000050001080000000006000108000000000601010800000000080001080000000009000108000000\
        001f000108000000001f020108000000001f030208000000400000
        """)

    static func bytes(_ hex: String) -> [UInt8] {
        let digits = Array(hex.utf8).map { UInt8($0 > 57 ? $0 - 87 : $0 - 48) }
        return stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] }
    }

    /// `bytes` with length and checksum made right.
    static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        var result = bytes
        for index in 0..<4 { result[4 + index] = UInt8(truncatingIfNeeded: bytes.count >> (8 * index)) }
        result[9] = 0
        result[9] = 0 &- result.reduce(0, &+)
        return result
    }

    static var header: [UInt8] {
        var result = [UInt8](repeating: 0, count: 48)
        result.replaceSubrange(0..<4, with: Array("DMAR".utf8))
        result[36] = 45
        return result
    }

    @Test("A real table gives width, unit and scopes")
    func realTable() throws {
        let table = try DMARTable(Self.real)
        #expect(table.hostAddressWidth == 48)
        let unit = try #require(table.units.first)
        #expect(table.units.count == 1)
        #expect(unit.registerBase == PhysicalAddress(0xfed9_0000))
        #expect(unit.segment == 0 && !unit.includesAll)
        #expect(unit.scopes.count == 15)
        #expect(unit.scopes[0].kind == .ioapic && unit.scopes[0].startBus == 0xff)
        #expect(unit.scopes[14].kind == .bridge && unit.scopes[14].startBus == 0x40)
        #expect(table.unitIndex(serving: RequesterID("00:06.1")!) == 0)
        #expect(table.unitIndex(serving: RequesterID("01:00.0")!) == nil)
        #expect(table.unitIndex(serving: RequesterID("01:00.0")!) { $0 == RequesterID("00:01.0") ? 1...1 : nil } == 0)
        #expect(table.unitIndex(serving: RequesterID("0001:00:06.1")!) == nil)
    }

    @Test("Reserved memory, root ports and include-all units are read; unknown structures are passed over")
    func otherStructures() throws {
        var bytes = Self.header
        bytes += [4, 0, 20, 0] + [UInt8](repeating: 0xee, count: 16)  // ANDD-like, unknown here
        bytes += [0, 0, 16, 0, 1, 0, 2, 0, 0, 0, 0xd9, 0xfe, 0, 0, 0, 0]
        bytes += [1, 0, 32, 0, 0, 0, 2, 0] + [0, 0x10, 0, 0, 0, 0, 0, 0] + [0xff, 0x1f, 0, 0, 0, 0, 0, 0]
        bytes += [1, 8, 0, 0, 0, 3, 2, 1]
        bytes += [2, 0, 8, 0, 1, 0, 2, 0]
        let table = try DMARTable(Self.sealed(bytes))
        #expect(table.hostAddressWidth == 46)
        #expect(table.units.count == 1 && table.units[0].includesAll && table.units[0].segment == 2)
        #expect(table.unitIndex(serving: RequesterID("0002:77:00.0")!) == 0)
        #expect(table.reservedMemory[0].range == PhysicalRange(first: .init(0x1000), last: .init(0x1fff)))
        #expect(table.reservedMemory[0].scopes[0].path == [.init(device: 2, function: 1)])
        #expect(table.rootPorts == [.init(segment: 2, all: true, scopes: [])])
    }

    @Test("Each error has its cause")
    func errors() {
        func error(_ bytes: [UInt8]) -> DMARError? {
            do throws(DMARError) {
                _ = try DMARTable(bytes)
                return nil
            } catch { return error }
        }
        #expect(error([]) == .truncated(offset: 0, expected: 48))
        #expect(error([UInt8](repeating: 1, count: 48)) == .notDMAR)
        #expect(error(Self.header) == .length(offset: 4, found: 0, expected: "48 to 48"))
        var bytes = Self.real
        bytes[60] ^= 1
        #expect(error(bytes) == .checksum)
        #expect(error(Self.sealed(Self.header + [0, 0, 3, 0])) == .length(offset: 50, found: 3, expected: "4 to 4"))
        #expect(error(Self.sealed(Self.header + [0, 0, 8, 0, 0, 0, 0, 0])) == .truncated(offset: 56, expected: 8))
        #expect(
            error(Self.sealed(Self.header + [0, 0, 16, 0, 1, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0]))
                == .value(offset: 56, found: 8, expected: "a 4 KiB aligned register base"))
        #expect(
            error(Self.sealed(Self.header + [2, 0, 16, 0, 1, 0, 0, 0, 1, 8, 0, 0, 0, 0, 32, 0]))
                == .value(offset: 62, found: 0x2000, expected: "a device below 32 and a function below 8"))
        #expect(
            error(Self.sealed(Self.header + [2, 0, 16, 0, 1, 0, 0, 0, 1, 7, 0, 0, 0, 0, 0, 0]))
                == .length(offset: 57, found: 7, expected: "an even 8 to 8"))
    }

    @Test("No truncation and no changed byte traps, checksum made good again or not")
    func robustness() {
        var refused = 0
        var read = 0
        func attempt(_ bytes: [UInt8]) {
            do throws(DMARError) {
                let table = try DMARTable(bytes)
                _ = table.unitIndex(serving: RequesterID(segment: 0, rid: 0xffff))
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
