import Hardware
import IOMMUModel
import Import
import PageTables

/// Lookup structures and page tables of a unit whose words name each other as badly as the formats allow.
///
/// Pages are numbered from ``base`` on; page 0 is the root of the lookup structures.
struct HostileImage {
    enum Kind: CaseIterable, Sendable {
        case legacy
        case scalable
        case amd
    }

    /// What the table pages, ``tables``, hold.
    enum Tables: CaseIterable, Sendable {
        /// Each entry names its own page.
        case selfLoops
        /// Entry n of page m names page m + n.
        case everyPage
        /// All entries of a page name the next page; the last has leaves that continue nothing.
        case fanIn
    }

    static let base: UInt64 = 0x100_0000
    /// Page-table pages.
    static let tables = 64..<96
    static let pageCount = 128

    let kind: Kind
    private let region: MappedRegion

    init(_ kind: Kind) throws {
        self.kind = kind
        region = try MappedRegion.anonymous(bytes: Self.pageCount * 4096)
    }

    static func page(_ number: Int) -> PhysicalAddress { PhysicalAddress(base + UInt64(number) << 12) }

    func set(_ page: Int, _ index: Int, _ words: [UInt64]) {
        let memory = region.base.assumingMemoryBound(to: UInt64.self)
        for (offset, word) in words.enumerated() { memory[page * 512 + index + offset] = word }
    }

    /// A table pointer as page tables of the unit have it; AMD entries name the level below `level`.
    func pointer(_ page: Int, level: Int) -> UInt64 {
        let address = Self.page(page).rawValue
        return kind == .amd ? address | 1 | UInt64(level) << 9 | 3 << 61 : address | 3
    }

    private func leaf(_ frame: Int) -> UInt64 {
        UInt64(frame) << 12 | (kind == .amd ? 1 | 3 << 61 : 3)
    }

    func fill(_ shape: Tables) {
        for (number, page) in Self.tables.enumerated() {
            // Each page names one next level: a walk that enters at that level goes on.
            let level = kind == .amd ? max(1, 3 - number % 4) : 1
            for index in 0..<512 {
                let next =
                    switch shape {
                    case .selfLoops: number
                    case .everyPage: number + index
                    case .fanIn: number + 1
                    }
                let isLast = shape == .fanIn && number % 4 == 3
                let target = Self.tables.lowerBound + next % Self.tables.count
                set(page, index, [isLast ? leaf(index * 2 + 1) : pointer(target, level: level)])
            }
        }
    }

    // MARK: Lookup structures

    /// Every entry of the lookup structures is present (of the legacy root table those of 16 buses), and leads to the
    /// roots `roots` in turn.
    func enterAll(roots: Range<Int> = tables, nested: Bool = false) {
        switch kind {
        case .legacy: enterLegacy(roots)
        case .scalable: enterScalable(roots, nested)
        case .amd: enterAMD(roots, nested)
        }
    }

    private func root(_ roots: Range<Int>, _ number: Int) -> PhysicalAddress {
        Self.page(roots.lowerBound + number % roots.count)
    }

    private func enterLegacy(_ roots: Range<Int>) {
        for bus in 0..<16 { set(0, bus * 2, [VTDRootEntry(contextTable: Self.page(1)).low]) }
        for devfn in 0..<256 {
            let entry = VTDContextEntry(root: root(roots, devfn), width: .bits48, domainID: UInt16(devfn))
            set(1, devfn * 2, [entry.low, entry.high])
        }
    }

    /// A directory of the largest size whose entries all name one table of 64 PASIDs: 2^20 PASIDs for each device.
    private func enterScalable(_ roots: Range<Int>, _ nested: Bool) {
        for word in 0..<512 { set(0, word, [VTDScalableRootEntry(lowerTable: Self.page(1)).lower]) }
        let context = VTDScalableContextEntry(directory: Self.page(2), directorySizeCode: 7, pasidEnabled: true)
        for devfn in 0..<128 { set(1, devfn * 4, context.words) }
        for page in 2..<34 {
            for index in 0..<512 { set(page, index, [VTDPASIDDirectoryEntry(table: Self.page(34)).word]) }
        }
        for slot in 0..<64 {
            let id = UInt16(slot + 1)
            let entry =
                nested
                ? VTDPASIDEntry(
                    firstStage: PhysicalAddress(UInt64(slot + 1) << 12), isFiveLevel: false, over: root(roots, slot),
                    width: .bits48, domainID: id)
                : VTDPASIDEntry(secondStage: root(roots, slot), width: .bits48, domainID: id)
            set(34, slot * 8, entry.words)
        }
    }

    /// Three GCR3 tables that name each other and themselves.
    private func enterAMD(_ roots: Range<Int>, _ nested: Bool) {
        for rid in 0..<128 {
            var entry = AMDDeviceTableEntry(v1Root: root(roots, rid), mode: 4, domainID: UInt16(rid))
            if nested {
                entry.setGuest(gcr3Root: Self.page(1), glx: 2, giov: true)
            } else if rid % 2 == 1 {
                entry = AMDDeviceTableEntry(v2GCR3Root: Self.page(1), glx: 2, domainID: UInt16(rid))
            }
            set(0, rid * 4, entry.words)
        }
        for page in 1..<4 {
            for index in 0..<512 {
                set(page, index, [AMDGCR3Entry(pointer: Self.page(1 + (page + index) % 3)).rawValue])
            }
        }
    }

    // MARK: Import

    func image() throws -> MachineImage {
        var memory = PhysicalMemory()
        try memory.add(at: Self.page(0), byteCount: UInt64(Self.pageCount * 4096), region: region)
        let registers: [(String, UInt64)] =
            switch kind {
            case .legacy, .scalable:
                [
                    (
                        "rtaddr",
                        VTDRootTableAddress(mode: kind == .legacy ? .legacy : .scalable, rootTable: Self.page(0))
                            .rawValue
                    ),
                    ("cap", VTDCapability(widths: [.bits39, .bits48], maximumGuestAddressWidth: 48).rawValue),
                    ("ecap", kind == .legacy ? 0xc0 : VTDExtendedCapability(scalable: .all).rawValue),
                    ("gsts", 0xc000_0000),
                ]
            case .amd:
                [
                    ("devtab", AMDDeviceTableBase(table: Self.page(0), pageCount: 1).rawValue),
                    ("control", AMDControl(translationEnabled: true, guestAddressesGCR3: false).rawValue),
                    ("efr", AMDExtendedFeatures(hostLevels: 6, guestLevels: 4).rawValue),
                ]
            }
        return MachineImage(
            path: "-", memory: memory,
            metadata: ImageMetadata(
                kind: kind == .amd ? .amdVi : .intelVTd,
                registers: registers.map { .init(name: $0.0, value: $0.1) }, hostAddressWidth: 46))
    }
}
