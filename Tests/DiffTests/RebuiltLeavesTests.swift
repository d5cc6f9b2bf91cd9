import Diff
import Engine
import Handover
import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Testing

/// Trees that translate alike and are built otherwise.
@Suite("Leaves of rebuilt trees")
struct RebuiltLeavesTests {
    /// A device on 4 MiB, mapped in so many areas; with other tables before it, in other frames.
    private static func snapshot(areas: UInt64, isLater: Bool = false) throws -> Snapshot {
        let ram = PhysicalRange(first: PhysicalAddress(0x10_0000), bytes: 64 << 20)!
        let arena = PhysicalRange(first: PhysicalAddress(0x20_0000), bytes: 256 << 12)!
        var memory = PhysicalMemory()
        for range in [PhysicalRange(first: ram.first, bytes: 4096)!, arena] {
            let bytes = range.lastOffset + 1
            try memory.add(at: range.first, byteCount: bytes, region: .anonymous(bytes: Int(bytes)))
        }
        let device = RequesterID("00:03.0")!
        let machine = try Machine(
            memory: memory, ramRanges: [ram], arenaRanges: [arena], handoverPage: ram.first,
            units: [
                UnitDescription(
                    id: UnitID(1), registerBase: PhysicalAddress(0xfed9_0000),
                    registers: [
                        .init("cap", VTDCapability(widths: [.bits48], maximumGuestAddressWidth: 48).rawValue),
                        .init("ecap", VTDExtendedCapability(snoopControl: true).rawValue), .init("gsts", 0),
                        .init("rtaddr", 0),
                    ])
            ],
            devices: [MachineDevice(requester: device, unit: UnitID(1), group: GroupID(1), driver: "vfio-pci")])
        var engine = try LiveEngine.start(machine) { _ in }
        let backing = try engine.addBacking(.memfd, base: PhysicalAddress(0x10_0000_0000), byteCount: 1 << 30)
        if isLater { _ = try engine.createHWPT(ioas: try engine.createIOAS(), unit: UnitID(1)) }
        let ioas = try engine.createIOAS()
        let hwpt = try engine.createHWPT(ioas: ioas, unit: UnitID(1))
        let bytes = (UInt64(4) << 20) / areas
        for number in 0..<areas {
            try engine.map(
                ioas: ioas, iova: IOVA(0x4000_0000 + number * bytes), byteCount: bytes, backing: backing,
                offset: number * bytes, protection: .readWrite)
        }
        try engine.mark(hwpt, token: 7)
        try engine.claimOwner(GroupID(1), token: 1)
        try engine.attach(device, to: hwpt)
        try engine.preserve(device, in: try engine.createSession("s"))
        guard case .frozen(let frozen) = engine.freeze() else { throw Errno.EBUSY }
        return frozen.snapshot()
    }

    private static func domain(_ before: Snapshot, _ after: Snapshot) throws -> Difference {
        let differences = try StateComparison(before, after).compare().differences
        #expect(!differences.contains { $0.subject == .mapping })
        return try #require(differences.first { $0.kind == "domain-changed" })
    }

    @Test func otherSizesAreTold() throws {
        let difference = try Self.domain(Self.snapshot(areas: 1), Self.snapshot(areas: 1024, isLater: true))
        #expect(difference.what.hasSuffix("the same translations"))
        #expect(difference.before?.contains("leaves=2M:2") == true, "\(difference)")
        #expect(difference.after?.contains("leaves=4K:1024") == true, "\(difference)")
        let mixed = try Self.domain(Self.snapshot(areas: 1), Self.snapshot(areas: 2, isLater: true))
        #expect(mixed.after?.contains("leaves") == false)
    }
}
