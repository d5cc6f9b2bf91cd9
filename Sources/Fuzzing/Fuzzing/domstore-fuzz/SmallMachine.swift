import Hardware
import IOMMUModel
import Import
import PageTables

/// A machine of sixteen pages with one unit: every kind of lookup structure and page table in as few words as it takes.
///
/// | page | VT-d legacy | VT-d scalable | AMD-Vi | SMMUv3 |
/// |---|---|---|---|---|
/// | 0 | root table | root table | device table | level 1 descriptors |
/// | 1 | context table | context table | - | the same |
/// | 2 | - | PASID directory | GCR3 table of level 2 | stream table entries |
/// | 3 | - | PASID table | GCR3 table of level 1 | - |
/// | 4 to 7 | second stage, levels 3 to 0 | the same | v1 tables, levels 3 to 0 | stage 2, levels 3 to 0 |
/// | 8 to 11 | - | first stage, levels 3 to 0 | the same | - |
/// | 12 to 15 | a guest's tables, or free | the same | the same | the same |
struct SmallMachine {
    enum Kind: UInt8, CaseIterable {
        case legacy
        case scalable
        case amd
        case smmu
    }

    static let base: UInt64 = 0x10_0000
    static let pageCount = 16
    static let wordCount = pageCount * 512
    /// Of the devices that have entries.
    static let rids: [UInt16] = [0x08, 0x10, 0x18, 0x20]

    let kind: Kind
    /// Names as in a meta file.
    var registers: [UnitRecordRegister]
    private let region: MappedRegion

    init(_ kind: Kind) throws(MemoryError) {
        self.kind = kind
        region = try MappedRegion.anonymous(bytes: Self.pageCount * 4096)
        registers = Self.registers(kind)
        addTables()
        switch kind {
        case .legacy: addLegacy()
        case .scalable: addScalable()
        case .amd: addAMD()
        case .smmu: addSMMU()
        }
    }

    static func page(_ number: Int) -> PhysicalAddress { PhysicalAddress(base + UInt64(number & 15) << 12) }

    /// By its number in the whole memory, modulo its size.
    subscript(word: Int) -> UInt64 {
        get { words[word & (Self.wordCount - 1)] }
        nonmutating set { words[word & (Self.wordCount - 1)] = newValue }
    }

    private var words: UnsafeMutablePointer<UInt64> { region.base.assumingMemoryBound(to: UInt64.self) }

    /// All its bytes.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: region.base, count: Self.pageCount * 4096) }

    /// What the importer gets.
    func image() throws(MemoryError) -> MachineImage {
        var memory = PhysicalMemory()
        try memory.add(at: Self.page(0), byteCount: UInt64(Self.pageCount * 4096), region: region)
        return MachineImage(path: "-", memory: memory, metadata: metadata)
    }

    /// What a meta file would say.
    var metadata: ImageMetadata {
        let iommu: IOMMUKind =
            switch kind {
            case .legacy, .scalable: .intelVTd
            case .amd: .amdVi
            case .smmu: .armSMMUv3
            }
        return ImageMetadata(
            kind: iommu,
            registers: registers.map { .init(name: $0.name, value: $0.value) }, hostAddressWidth: 46)
    }

    private func set(_ page: Int, _ index: Int, _ values: UInt64...) { set(page, index, values) }

    private func set(_ page: Int, _ index: Int, _ values: [UInt64]) {
        for (offset, value) in values.enumerated() { self[page * 512 + index + offset] = value }
    }

    /// Three levels of pointers, a large leaf, some small ones; in pages 4 to 7 and 8 to 11, a guest's from 12 on.
    private func addTables() {
        let host: TableStyle =
            switch kind {
            case .legacy, .scalable: .secondStage
            case .amd: .amd
            case .smmu: .armStage2
            }
        for (first, style) in [(4, host), (8, .firstStage), (12, .firstStage)] {
            for step in 0..<3 { set(first + step, 0, style.pointer(to: first + step + 1, level: 3 - step)) }
            set(first + 2, 1, style.leaf(frame: 0x40000, level: 1))
            // The host's small leaves make the guest's pages readable: guest address = host address.
            for page in 0..<32 { set(first + 3, 0x100 + page, style.leaf(frame: UInt64(0x100 + page), level: 0)) }
        }
    }

    private func addLegacy() {
        set(0, 0, VTDRootEntry(contextTable: Self.page(1)).low)
        let translated = VTDContextEntry(root: Self.page(4), width: .bits48, domainID: 5)
        set(1, 0x08 * 2, translated.low, translated.high)
        let passing = VTDContextEntry(passThroughWith: .bits48, domainID: 7)
        set(1, 0x10 * 2, passing.low, passing.high)
        let narrow = VTDContextEntry(root: Self.page(5), width: .bits39, domainID: 6)
        set(1, 0x18 * 2, narrow.low, narrow.high)
    }

    private func addScalable() {
        set(0, 0, VTDScalableRootEntry(lowerTable: Self.page(1)).lower)
        for rid in Self.rids {
            let context = VTDScalableContextEntry(
                directory: Self.page(2), directorySizeCode: 0, pasidEnabled: true)
            set(1, Int(rid) * 4, context.words)
        }
        set(2, 0, VTDPASIDDirectoryEntry(table: Self.page(3)).word)
        set(3, 0, VTDPASIDEntry(secondStage: Self.page(4), width: .bits48, domainID: 5).words)
        set(3, 8, VTDPASIDEntry(firstStage: Self.page(8), isFiveLevel: false, domainID: 6).words)
        set(3, 16, VTDPASIDEntry(passThroughWith: 7).words)
        set(
            3, 24,
            VTDPASIDEntry(
                firstStage: Self.page(12), isFiveLevel: false, over: Self.page(4), width: .bits48, domainID: 8
            ).words)
    }

    private func addAMD() {
        var nested = AMDDeviceTableEntry(v1Root: Self.page(4), mode: 4, domainID: 8)
        nested.setGuest(gcr3Root: Self.page(2), glx: 1, giov: true)
        let entries = [
            AMDDeviceTableEntry(v1Root: Self.page(4), mode: 4, domainID: 5),
            AMDDeviceTableEntry(v2GCR3Root: Self.page(2), glx: 1, domainID: 6),
            AMDDeviceTableEntry(passThroughWith: .readWrite, domainID: 7), nested,
        ]
        for (rid, entry) in zip(Self.rids, entries) { set(0, Int(rid) * 4, entry.words) }
        set(2, 0, AMDGCR3Entry(pointer: Self.page(3)).rawValue)
        set(3, 0, AMDGCR3Entry(pointer: Self.page(8)).rawValue)
        set(3, 1, AMDGCR3Entry(pointer: Self.page(12)).rawValue)
    }

    private func addSMMU() {
        set(0, 0, SMMUStreamTableDescriptor(array: Self.page(2), entriesLog2: 6).rawValue)
        let shape = PageTableConfiguration(format: .armv8Stage2, topLevel: 3, addressBits: 44, hostAddressWidth: 44)!
        let narrow = PageTableConfiguration(format: .armv8Stage2, topLevel: 2, hostAddressWidth: 44)!
        let entries = [
            SMMUStreamTableEntry(
                stage2: .init(configuration: shape, root: Self.page(4)), vmid: 5, setsAccessFlag: false),
            SMMUStreamTableEntry(
                stage2: .init(configuration: narrow, root: Self.page(5)), vmid: 6, setsAccessFlag: false),
            SMMUStreamTableEntry(bypassWith: 7), SMMUStreamTableEntry.aborting,
        ]
        for (rid, entry) in zip(Self.rids, entries) { set(2, Int(rid) * 8, entry?.words ?? []) }
    }

    private static func registers(_ kind: Kind) -> [UnitRecordRegister] {
        switch kind {
        case .legacy, .scalable:
            let mode: VTDRootTableAddress.Mode = kind == .legacy ? .legacy : .scalable
            let capability = VTDCapability(widths: [.bits39, .bits48], maximumGuestAddressWidth: 48)
            let extended: UInt64 = kind == .legacy ? 1 << 6 | 1 << 2 : VTDExtendedCapability(scalable: .all).rawValue
            return [
                .init("rtaddr", VTDRootTableAddress(mode: mode, rootTable: page(0)).rawValue),
                .init("cap", capability.rawValue), .init("ecap", extended), .init("gsts", 0xc000_0000),
            ]
        case .amd:
            return [
                .init("devtab", AMDDeviceTableBase(table: page(0), pageCount: 1).rawValue),
                .init("control", AMDControl(translationEnabled: true, guestAddressesGCR3: true).rawValue),
                .init("efr", AMDExtendedFeatures(hostLevels: 6, guestLevels: 4).rawValue),
            ]
        case .smmu:
            return [
                .init("strtab_base_lo", page(0).rawValue), .init("strtab_base_hi", 0),
                .init("strtab_base_cfg", 16 | 6 << 6 | 1 << 16), .init("idr0", 1 | 2 << 2 | 1 << 6),
                .init("idr5", 0x14),
            ]
        }
    }
}

/// One register of a ``SmallMachine``.
struct UnitRecordRegister {
    var name: String
    var value: UInt64

    init(_ name: String, _ value: UInt64) { (self.name, self.value) = (name, value) }
}
