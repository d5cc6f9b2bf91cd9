import Engine
import Hardware
import IOMMUModel
import PageTables
import Testing

@testable import Scenario

/// Machines of every kind of unit, with tables of every format: domains of one device and of several, pass-through, and
/// PASIDs where there are any.
enum FlavouredMachine {
    /// One kind of unit with the tables of its domains.
    enum Flavour: String, CaseIterable, Sendable, CustomTestStringConvertible {
        case legacy, secondStage, firstStage, vtdNested, amdV1, amdV2, amdNested, smmuStage2
        var testDescription: String { rawValue }
        var isAMD: Bool { [.amdV1, .amdV2, .amdNested].contains(self) }
        var hasPASIDs: Bool { ![.legacy, .amdV1, .smmuStage2].contains(self) }
        var isNested: Bool { self == .vtdNested || self == .amdNested }
        var format: PageTableFormatKind? { self == .firstStage || self == .amdV2 ? .x86_64 : nil }

        func unit(_ id: UInt32) -> UnitDescription {
            let base = PhysicalAddress(0xfed9_0000 + UInt64(id) << 12)
            if isAMD {
                let features = AMDExtendedFeatures(hostLevels: 6, guestLevels: 4)
                return UnitDescription(
                    id: UnitID(id), kind: .amdVi, registerBase: base,
                    registers: [.init("control", 0), .init("devtab", 0), .init("efr", features.rawValue)])
            }
            if self == .smmuStage2 {
                // Stage 2 alone, VMIDs of 16 bits; 48 bits of output.
                let registers = ["cr0", "strtab_base_cfg", "strtab_base_hi", "strtab_base_lo"]
                return UnitDescription(
                    id: UnitID(id), kind: .armSMMUv3, registerBase: base,
                    registers: [.init("idr0", 1 | 2 << 2 | 1 << 18), .init("idr5", 0x15)]
                        + registers.map { .init($0, 0) })
            }
            let ecap =
                self == .legacy
                ? VTDExtendedCapability(snoopControl: true) : VTDExtendedCapability(scalable: .all)
            return UnitDescription(
                id: UnitID(id), registerBase: base,
                registers: [
                    .init(
                        "cap",
                        VTDCapability(
                            widths: [.bits39, .bits48], maximumGuestAddressWidth: 48, firstStage1G: true
                        ).rawValue),
                    .init("ecap", ecap.rawValue), .init("gsts", 0), .init("rtaddr", 0),
                ])
        }
    }

    static let all: [[Flavour]] =
        Flavour.allCases.map { [$0] } + [
            [.secondStage, .amdV2, .legacy], [.amdV1, .vtdNested], [.smmuStage2, .legacy],
        ]

    private static let arena = PhysicalRange(first: PhysicalAddress(0x20_0000), bytes: 2048 << 12)!
    static let guest = PhysicalRange(first: PhysicalAddress(0x100_0000), bytes: 0x10000)!
    private static let handover = PhysicalAddress(0x10_0000)

    private static func devices(_ flavours: [Flavour]) -> [MachineDevice] {
        flavours.indices.flatMap { index in
            (UInt8(1)...6).map { device in
                MachineDevice(
                    requester: RequesterID(bus: UInt8(index * 0x20), device: device, function: UInt8(index))!,
                    unit: UnitID(UInt32(index + 1)), group: GroupID(UInt32(index * 8) + UInt32(device)),
                    driver: "vfio-pci", pasidBits: 20)
            }
        }
    }

    /// A unit of each flavour with six devices, in the memory file at `file` or in memory alone.
    static func make(_ flavours: [Flavour], file: String? = nil) throws -> Machine {
        let ranges = [PhysicalRange(first: handover, bytes: 4096)!, arena, guest]
        var memory = PhysicalMemory()
        if let file {
            memory = try MachineMemory.file(ranges, at: file)
        } else {
            for range in ranges {
                let bytes = range.lastOffset + 1
                try memory.add(at: range.first, byteCount: bytes, region: .anonymous(bytes: Int(bytes)))
            }
        }
        return try Machine(
            memory: memory, ramRanges: [PhysicalRange(first: PhysicalAddress(0x10_0000), bytes: 64 << 20)!],
            arenaRanges: [arena], handoverPage: handover,
            units: flavours.enumerated().map { $1.unit(UInt32($0 + 1)) }, devices: devices(flavours))
    }

    /// An engine on it, with every device preserved: other areas for each `seed`.
    static func frozen(_ flavours: [Flavour], on machine: Machine, seed: UInt64 = 0) throws -> FrozenEngine {
        var engine = try LiveEngine.start(machine) { _ in }
        for (index, flavour) in flavours.enumerated() {
            let unit = UnitID(UInt32(index + 1))
            try populate(&engine, flavour, unit, machine.devices.filter { $0.unit == unit }, seed: seed)
        }
        precondition(engine.checkInvariants() == [])
        let session = try engine.createSession("s")
        for device in machine.devices { try engine.preserve(device.requester, in: session) }
        guard case .frozen(let frozen) = engine.freeze() else { throw Errno.EBUSY }
        precondition(frozen.cleared.isEmpty)
        return frozen
    }

    /// Two domains shared by devices, one of its own, pass-through, and behind PASIDs 1, 63, 64 and 2^20 - 1 some of them.
    private static func populate(
        _ engine: inout LiveEngine, _ flavour: Flavour, _ unit: UnitID, _ devices: [MachineDevice],
        seed: UInt64
    ) throws {
        let backing = try engine.addBacking(.memfd, base: PhysicalAddress(0x10_0000_0000), byteCount: 1 << 34)
        var hwpts: [HWPTID] = []
        for number in 0..<3 {
            let ioas = try engine.createIOAS()
            let hwpt = try engine.createHWPT(ioas: ioas, unit: unit, format: flavour.format)
            var random = SplitMix64(seed: seed << 32 | UInt64(unit.rawValue) << 8 | UInt64(number))
            if flavour.isNested {
                // The guest's own memory, at its address 0.
                let guest = try engine.addBacking(.memfd, base: guest.first, byteCount: 0x10000)
                try engine.map(ioas: ioas, iova: IOVA(0), byteCount: 0x10000, backing: guest, protection: .readWrite)
            }
            for _ in 0..<40 {
                let shift = [12, 12, 14, 16, 21, 24].randomElement(using: &random)!
                let count = UInt64.random(in: 1...3, using: &random) << UInt64(shift)
                let limit: UInt64 = 1 << 38
                let iova = UInt64.random(in: 0..<limit, using: &random) & (~0 << UInt64(shift))
                let offset = UInt64.random(in: 0..<1 << 33, using: &random) & (~0 << UInt64(shift))
                let protection = [Protection.read, .readWrite, .readWrite].randomElement(using: &random)!
                try? engine.map(
                    ioas: ioas, iova: IOVA(iova), byteCount: count, backing: backing, offset: offset,
                    protection: protection)
            }
            try engine.mark(hwpt, token: UInt64(unit.rawValue) << 8 | UInt64(number))
            hwpts.append(hwpt)
        }
        var targets = hwpts
        if flavour.isNested {
            writeGuestTables(engine.machine)
            for (number, host) in hwpts.enumerated() {
                let nested = try engine.createNestedHWPT(
                    parent: host, unit: unit, root: PhysicalAddress(number == 2 ? 0x4000 : 0))
                try engine.mark(nested, token: 0x1000 | UInt64(unit.rawValue) << 8 | UInt64(number))
                targets[number] = nested
            }
        }
        for device in devices { try engine.claimOwner(device.group, token: 7) }
        try engine.attach(devices[0].requester, to: targets[0])
        try engine.attach(devices[1].requester, to: targets[0])
        try engine.attach(devices[2].requester, to: hwpts[1])
        try engine.attachIdentity(devices[3].requester)
        try engine.attach(devices[4].requester, to: targets[2])
        try engine.attach(devices[5].requester, to: targets[1])
        guard flavour.hasPASIDs else { return }
        for (index, number) in [UInt32(1), 63, 64, 0xf_ffff].enumerated() {
            // The requests of one AMD device go through one second stage.
            let first = flavour == .amdNested ? targets[0] : targets[index % 2]
            try engine.attach(devices[0].requester, pasid: PASID(number)!, to: first)
            try engine.attach(
                devices[4].requester, pasid: PASID(number)!, to: flavour == .amdNested ? targets[2] : targets[1])
        }
    }

    /// Two guest trees: at 0 and at 0x4000, both mapping some pages of the guest's memory.
    private static func writeGuestTables(_ machine: Machine) {
        func set(_ page: UInt64, _ index: UInt64, _ word: UInt64) {
            precondition(machine.memory.setWord(word, at: PhysicalAddress(guest.first.rawValue + page + index * 8)))
        }
        for root in [0, 0x4000] as [UInt64] {
            set(root, 0, root + 0x1000 | 0x27)
            set(root + 0x1000, 3, root + 0x2000 | 0x27)
            set(root + 0x2000, 5, root + 0x3000 | 0x27)
            for index in 0..<8 as Range<UInt64> { set(root + 0x3000, index * 3, 0x8000 + index << 12 | 0x67) }
        }
    }
}
