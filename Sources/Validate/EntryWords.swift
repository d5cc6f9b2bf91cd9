import Hardware
import IOMMUModel
import PageTables

/// The words of a lookup entry that findings about it are listed at, and what the entry is called.
struct EntryWords {
    /// Names the root of the tables that a request's address enters.
    let root: PhysicalAddress
    /// Names the root of the host's tables: ``root`` but for nested translation.
    let hostRoot: PhysicalAddress
    /// Names the cache tag.
    let tag: PhysicalAddress
    /// The entry in words.
    let name: String

    private let hardware: IOMMUHardware
    private let context: RequestContext

    init(_ context: RequestContext, _ hardware: IOMMUHardware) {
        self.context = context
        self.hardware = hardware
        let (entry, device) = (context.entryAddress, context.deviceEntryAddress)
        let isFirstStage = context.path.first?.configuration.format == .x86_64
        switch hardware {
        case .vtd(let unit) where unit.registers.rootTableAddress.mode == .scalable:
            root = isFirstStage ? Self.word(2, of: entry) : entry
            hostRoot = entry
            tag = Self.word(1, of: entry)
        case .vtd:
            root = entry
            hostRoot = entry
            tag = Self.word(1, of: entry)
        case .smmu:
            root = Self.word(3, of: entry)
            hostRoot = root
            tag = Self.word(2, of: entry)
        case .amd:
            root = entry
            hostRoot = isFirstStage && context.path.host == context.path.first ? entry : device
            tag = Self.word(1, of: device)
        }
        name = Self.name(hardware, isDevice: entry == device)
    }

    /// The word that says how many levels the tables of `format` have that the entry leads to.
    func levels(_ format: PageTableFormatKind) -> PhysicalAddress {
        let (entry, device) = (context.entryAddress, context.deviceEntryAddress)
        return switch hardware {
        case .vtd(let unit) where unit.registers.rootTableAddress.mode == .scalable:
            format == .x86_64 ? Self.word(2, of: entry) : entry
        case .vtd: Self.word(1, of: entry)
        case .amd: format == .x86_64 ? Self.word(2, of: device) : device
        case .smmu: Self.word(2, of: entry)
        }
    }

    /// The rule about that number of levels.
    static func levelsRule(_ format: PageTableFormatKind, _ hardware: IOMMUHardware?) -> RuleID {
        switch hardware {
        case .vtd(let unit) where unit.registers.rootTableAddress.mode == .scalable: .vtdPASIDAddressWidth
        case .vtd, nil: .vtdContextAddressWidth
        case .amd: format == .x86_64 ? .amdDTEGuest : .amdDTEMode
        case .smmu: .smmuSTEStage2
        }
    }

    /// What the entry is called that decides about a request, or about a device as a whole.
    static func name(_ hardware: IOMMUHardware, isDevice: Bool) -> String {
        switch hardware {
        case .vtd: isDevice ? "context entry" : "PASID-table entry"
        case .amd: isDevice ? "device table entry" : "GCR3 entry"
        case .smmu: "stream table entry"
        }
    }

    /// The tag as the vendor calls it.
    static func tagName(_ hardware: IOMMUHardware) -> String {
        switch hardware {
        case .vtd: "DID"
        case .amd: "DomainID"
        case .smmu: "VMID"
        }
    }

    private static func word(_ index: UInt64, of address: PhysicalAddress) -> PhysicalAddress {
        PhysicalAddress(address.rawValue &+ index &* 8)
    }
}
