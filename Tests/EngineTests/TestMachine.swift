import Hardware
import IOMMUModel
import PageTables
import Testing

@testable import Engine

/// A small machine: 64 MiB of RAM from 1 MiB on, the handover page first, then an arena of 4,096 frames.
enum TestMachine {
    static let ramStart: UInt64 = 0x10_0000
    static let ramBytes: UInt64 = 64 << 20
    static let handoverPage = PhysicalAddress(ramStart)
    static let arena = PhysicalRange(first: PhysicalAddress(0x20_0000), bytes: 4096 * 4096)!
    /// Memory for areas, beyond what RAM holds: only addresses, never read.
    static let buffer = PhysicalAddress(0x10_0000_0000)
    static let unit = UnitID(1)

    static func rid(_ text: String) -> RequesterID { RequesterID(text)! }

    static func device(_ text: String, group: UInt32, unit: UnitID = unit) -> MachineDevice {
        MachineDevice(requester: rid(text), unit: unit, group: GroupID(group), driver: "vfio-pci")
    }

    /// 00:03.0 and 00:04.0 alone in their groups, 01:00.0 and 01:00.1 together, 02:00.0 alone.
    static let devices = [
        device("00:03.0", group: 3), device("00:04.0", group: 4), device("01:00.0", group: 5),
        device("01:00.1", group: 5), device("02:00.0", group: 6),
    ]

    static func unitDescription(
        _ id: UnitID = unit, widths: [VTDAddressWidth] = [.bits39, .bits48], passThrough: Bool = true,
        accessedDirty: Bool = false
    ) -> UnitDescription {
        UnitDescription(
            id: id, registerBase: PhysicalAddress(0xfed9_0000 + UInt64(id.rawValue - 1) << 12),
            registers: [
                .init("rtaddr", 0), .init("gsts", 0),
                .init(
                    "cap",
                    VTDCapability(widths: widths, maximumGuestAddressWidth: widths.map(\.bits).max() ?? 48).rawValue),
                .init("ecap", VTDExtendedCapability(snoopControl: true, passThrough: passThrough).rawValue),
            ], accessedDirty: accessedDirty)
    }

    static func make(
        devices: [MachineDevice] = devices, reserved: [ReservedRegion] = [],
        units: [UnitDescription] = [unitDescription()], arena: PhysicalRange = arena
    ) throws -> Machine {
        var memory = PhysicalMemory()
        try memory.add(
            at: PhysicalAddress(ramStart), byteCount: ramBytes, region: .anonymous(bytes: Int(ramBytes)))
        return try Machine(
            memory: memory, ramRanges: [PhysicalRange(first: PhysicalAddress(ramStart), bytes: ramBytes)!],
            arenaRanges: [arena], handoverPage: handoverPage, units: units, devices: devices,
            reservedRegions: reserved)
    }
}

/// The events of one engine, in order.
final class EventLog {
    private(set) var events: [Event] = []
    var sink: EventSink { { self.events.append($0) } }
}

extension LiveEngine {
    /// An IOAS and an HWPT for `unit`.
    mutating func space(unit: UnitID = TestMachine.unit) throws(Errno) -> (ioas: IOASID, hwpt: HWPTID) {
        let ioas = try createIOAS()
        return (ioas, try createHWPT(ioas: ioas, unit: unit))
    }

    /// Claims the group of `requester` unless it is, and attaches it.
    mutating func own(_ requester: RequesterID, on hwpt: HWPTID) throws(Errno) {
        guard let group = group(of: requester) else { throw .ENODEV }
        try claimOwner(group.id, token: 7)
        try attach(requester, to: hwpt)
    }
}

/// The errno that `body` throws, `nil` when it succeeds.
func errno(_ body: () throws(Errno) -> Void) -> Errno? {
    do {
        try body()
        return nil
    } catch {
        return error
    }
}

/// What `body` is refused with, `nil` when it succeeds.
func refusal(_ body: () throws(Refusal) -> Void) -> Refusal? {
    do {
        try body()
        return nil
    } catch {
        return error
    }
}

/// `value`, which must be there. (`#require` cannot take apart a call on a value that cannot be copied.)
func unwrapped<T>(_ value: T?, sourceLocation: SourceLocation = #_sourceLocation) throws -> T {
    try #require(value, sourceLocation: sourceLocation)
}

extension UnitHardware {
    /// The registers of a VT-d unit; writing them is what firmware or a bug would do.
    var registers: VTDRegisters {
        get {
            guard case .vtd(let unit) = hardware else { preconditionFailure("a VT-d unit") }
            return unit.registers
        }
        set {
            guard case .vtd(var unit) = hardware else { preconditionFailure("a VT-d unit") }
            unit.registers = newValue
            hardware = .vtd(unit)
        }
    }
}
