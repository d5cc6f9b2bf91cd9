import Engine
import Glibc
import Hardware
import IOMMUModel
import PageTables

/// Profile L as a running engine: 4,096 devices on four units in scalable mode, all preserved, four to a domain; 1,024
/// domains of 12 GiB in 2 MiB pages; 10,000 attachments with a PASID. Areas of about 1.2 GiB, 10,000 in all.
///
/// Or the same host with less memory, which can then be mapped in 4 KiB pages too (12 TiB would be 25 GB of tables).
struct LargeHost {
    /// What each domain maps, whole 2 MiB.
    var bytesPerDomain: UInt64 = 12 << 30
    /// The memory behind an IOVA is 4 KiB off, so that no larger page fits.
    var isInSmallPages = false

    static let unitCount = 4
    static let deviceCount = 4096
    static let devicesPerDomain = 4
    static let domainCount = 1024
    static let areaCount = 10_000
    static let taggedCount = 10_000

    /// Beyond the interrupt window.
    private static let firstIOVA: UInt64 = 4 << 30
    private static let handoverPage = PhysicalAddress(0x10_0000)
    private static let fileBase = PhysicalAddress(0x100_0000_0000)

    /// What the benchmark must know of the engine's objects.
    struct Objects {
        var session: SessionID
        var file: BackingID
        /// By number of the domain.
        var spaces: [IOASID] = []
    }

    /// Frames for tables: of each domain one for every 2 MiB in 4 KiB pages, some more, and the lookup structures.
    private var arena: PhysicalRange {
        let pages = isInSmallPages ? bytesPerDomain >> 21 * UInt64(Self.domainCount) : 0
        return PhysicalRange(first: PhysicalAddress(0x1_0000_0000), bytes: (40_000 + pages) << 12)!
    }

    private var fileBytes: UInt64 { bytesPerDomain * UInt64(Self.domainCount) + 0x20_0000 }

    private func machine() throws -> Machine {
        var memory = PhysicalMemory()
        try memory.add(at: Self.handoverPage, byteCount: 4096, region: .anonymous(bytes: 4096))
        let bytes = arena.lastOffset + 1
        try memory.add(at: arena.first, byteCount: bytes, region: .anonymous(bytes: Int(bytes)))
        let capability = VTDCapability(widths: [.bits39, .bits48], maximumGuestAddressWidth: 48)
        let extended = VTDExtendedCapability(scalable: .all)
        return try Machine(
            memory: memory,
            ramRanges: [
                PhysicalRange(first: Self.handoverPage, bytes: 4096)!, arena,
                PhysicalRange(first: Self.fileBase, bytes: fileBytes)!,
            ], arenaRanges: [arena], handoverPage: Self.handoverPage,
            units: (0..<Self.unitCount).map { number in
                UnitDescription(
                    id: UnitID(UInt32(number)), kind: .intelVTd,
                    registerBase: PhysicalAddress(0xfed9_0000 + UInt64(number) << 12),
                    registers: [
                        .init("rtaddr", 0), .init("gsts", 0), .init("cap", capability.rawValue),
                        .init("ecap", extended.rawValue),
                    ])
            },
            devices: (0..<Self.deviceCount).map { number in
                MachineDevice(
                    requester: Self.requester(number),
                    unit: UnitID(UInt32(number * Self.unitCount / Self.deviceCount)),
                    group: GroupID(UInt32(number)), driver: "vfio-pci", pasidBits: 10)
            })
    }

    static func requester(_ number: Int) -> RequesterID { RequesterID(segment: 0, rid: UInt16(number << 2)) }

    /// The devices of a domain.
    static func devices(_ domain: Int) -> [RequesterID] {
        (domain * devicesPerDomain..<(domain + 1) * devicesPerDomain).map(requester)
    }

    /// The areas of a domain: as many as it takes for the whole, 9 or 10 of equal size but for the last.
    private func areas(_ domain: Int) -> [(iova: UInt64, bytes: UInt64)] {
        let (areas, domains) = (Self.areaCount, Self.domainCount)
        let count = UInt64((domain + 1) * areas / domains - domain * areas / domains)
        let pages = bytesPerDomain >> 21
        return (0..<count).map { index in
            let (first, end) = (pages * index / count, pages * (index + 1) / count)
            return (first << 21, (end - first) << 21)
        }
    }

    /// Maps all areas of a domain; `shift` is where in the file the domain begins otherwise, in units of 2 MiB, not 0: nothing
    /// is aligned to 1 GiB.
    func map(_ domain: Int, shift: UInt64, _ objects: Objects, on engine: inout LiveEngine) throws {
        for area in areas(domain) {
            let offset =
                (UInt64(domain) * bytesPerDomain + area.iova + shift << 21)
                % (bytesPerDomain * UInt64(Self.domainCount) - area.bytes)
            try engine.map(
                ioas: objects.spaces[domain], iova: IOVA(Self.firstIOVA + area.iova), byteCount: area.bytes,
                backing: objects.file,
                offset: offset & ~0x1f_ffff + (isInSmallPages ? 4096 : 0), protection: .readWrite)
        }
    }

    /// The engine and what is in it.
    struct Running: ~Copyable {
        var engine: LiveEngine
        let objects: Objects
    }

    /// Everything attached and preserved.
    func running(_ sink: @escaping EventSink) throws -> Running {
        var engine = try LiveEngine.start(try machine(), sink: sink)
        var objects = Objects(
            session: try engine.createSession("guests"),
            file: try engine.addBacking(
                .memfd, base: Self.fileBase, byteCount: fileBytes, sealed: true))
        for domain in 0..<Self.domainCount {
            let unit = UnitID(UInt32(domain * Self.unitCount / Self.domainCount))
            let ioas = try engine.createIOAS()
            objects.spaces.append(ioas)
            let hwpt = try engine.createHWPT(ioas: ioas, unit: unit, addressBits: 48)
            try map(domain, shift: 3, objects, on: &engine)
            try engine.mark(hwpt, token: UInt64(domain + 1))
            for (index, device) in Self.devices(domain).enumerated() {
                let number = domain * Self.devicesPerDomain + index
                try engine.claimOwner(GroupID(UInt32(number)), token: 1)
                try engine.attach(device, to: hwpt)
                let (pasids, devices) = (Self.taggedCount, Self.deviceCount)
                let tagged = (number + 1) * pasids / devices - number * pasids / devices
                for pasid in 0..<tagged { try engine.attach(device, pasid: PASID(UInt32(pasid + 1))!, to: hwpt) }
            }
            for device in Self.devices(domain) { try engine.preserve(device, in: objects.session) }
        }
        return Running(engine: engine, objects: objects)
    }
}
