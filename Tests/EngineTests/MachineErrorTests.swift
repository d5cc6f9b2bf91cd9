import IOMMUModel
import Testing

@testable import Engine

/// Why a machine cannot be built: each case once.
@Suite struct MachineErrorTests {
    private static let one = TestMachine.devices[0]
    private static let other = UnitID(9)

    private static func error(_ build: () throws -> Machine) -> MachineError? {
        do {
            _ = try build()
            return nil
        } catch {
            return error as? MachineError
        }
    }

    @Test func `units that cannot be built are named`() {
        var unit = TestMachine.unitDescription()
        #expect(
            Self.error { try TestMachine.make(units: [unit, unit]) } == .duplicateUnit(TestMachine.unit))
        unit.hostAddressWidth = 53
        #expect(Self.error { try TestMachine.make(units: [unit]) } == .hostAddressWidth(TestMachine.unit, 53))
        unit = TestMachine.unitDescription()
        unit.registers.removeAll { $0.name == "cap" }
        #expect(Self.error { try TestMachine.make(units: [unit]) } == .missingRegister(TestMachine.unit, "cap"))
        unit = TestMachine.unitDescription()
        unit.kind = .riscv
        #expect(Self.error { try TestMachine.make(units: [unit]) } == .unsupportedUnit(TestMachine.unit, .riscv))
    }

    @Test func `devices that fit to nothing are named`() {
        var device = Self.one
        #expect(Self.error { try TestMachine.make(devices: [device, device]) } == .duplicateDevice(device.requester))
        device.unit = Self.other
        #expect(
            Self.error { try TestMachine.make(devices: [device]) }
                == .unknownUnit(Self.other, of: device.requester))
        device = Self.one
        device.requester = RequesterID(segment: 3, rid: device.requester.rid)
        #expect(
            Self.error { try TestMachine.make(devices: [device]) }
                == .otherSegment(TestMachine.unit, of: device.requester))
        let region = ReservedRegion(
            group: GroupID(77), kind: .reserved, range: IOVARange(first: IOVA(0), bytes: 0x1000)!)
        #expect(Self.error { try TestMachine.make(reserved: [region]) } == .unknownGroup(GroupID(77)))
    }

    @Test func `frames for tables are whole pages of memory that nothing else has`() {
        let half = PhysicalRange(first: TestMachine.arena.first, bytes: 0x1800)!
        #expect(Self.error { try TestMachine.make(arena: half) } == .unaligned(half))
        let outside = PhysicalRange(first: PhysicalAddress(0x1_0000_0000), bytes: 0x1000)!
        #expect(Self.error { try TestMachine.make(arena: outside) } == .notInMemory(outside))
        let page = PhysicalRange(first: TestMachine.handoverPage, bytes: 0x1000)!
        #expect(Self.error { try TestMachine.make(arena: page) } == .overlap(page, page))
    }
}
