import IOMMUModel

/// One IOMMU unit with the registers that its structures depend on.
public struct UnitRecord: Sendable, Hashable {
    /// Key of the record.
    public var id: UnitID
    /// What its registers and tables mean.
    public var kind: IOMMUKind
    /// The PCI segment that the unit serves.
    public var segment: UInt32
    /// The physical address of the register block: the unit's token across generations. 4 KiB aligned.
    public var registerBase: PhysicalAddress
    /// Host address width in bits (DMAR's "Host Address Width" + 1), 12 to 52.
    public var hostAddressWidth: UInt8
    /// Registers by lower-case name (`rtaddr`, `cap`, `ecap`, `gsts` …), sorted by name.
    public var registers: [Register]
    /// The bit of a physical address that says "encrypted" (SME's C-bit), 12 to 51; `nil`: there is none, or it is not
    /// known (no register of the unit says it).
    public var encryptionBit: UInt8?
    /// The unit sets accessed and dirty bits in table entries while it walks; which ones is
    /// ``DomainUnitRecord/Geometry/hardwareUpdatedMask``.
    public var accessedDirty: Bool

    /// One register of a unit.
    public struct Register: Sendable, Hashable {
        /// Lower case, unique in the unit.
        public var name: String
        /// Registers of 32 bits are zero-extended.
        public var value: UInt64
        /// Both as given; nothing is checked.
        public init(name: String, value: UInt64) {
            self.name = name
            self.value = value
        }
    }

    /// Sorts `registers`; all else as given, nothing is checked.
    public init(
        id: UnitID, kind: IOMMUKind, segment: UInt32, registerBase: PhysicalAddress, hostAddressWidth: UInt8,
        registers: [Register], encryptionBit: UInt8? = nil, accessedDirty: Bool = false
    ) {
        self.id = id
        self.kind = kind
        self.segment = segment
        self.registerBase = registerBase
        self.hostAddressWidth = hostAddressWidth
        self.registers = registers.sorted { $0.name < $1.name }
        self.encryptionBit = encryptionBit
        self.accessedDirty = accessedDirty
    }

    /// The value of register `name`, or `nil` when it was not recorded.
    public subscript(register name: String) -> UInt64? { registers.first { $0.name == name }?.value }
}

/// A range of the machine's physical address space.
public struct MemoryRangeRecord: Sendable, Hashable {
    /// What the range is there for.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// Memory that tables and buffers may lie in.
        case ram
        /// The range that survives the jump and holds the handover nonce (one page).
        case handover
        /// Frames that the engine takes new table pages from.
        case arena
    }

    /// What the range is there for.
    public var kind: Kind
    /// Whole 4 KiB pages.
    public var range: PhysicalRange
    /// Both as given; nothing is checked.
    public init(kind: Kind, range: PhysicalRange) {
        self.kind = kind
        self.range = range
    }
}

/// One piece of engine state that only replay needs: clock, random state, number of the last event.
public struct EngineStateRecord: Sendable, Hashable {
    /// Key of the record. The engine writes `clock`, `devices`, `last-id`, `random` and `sequence`.
    public var name: String
    /// Opaque to the store. The engine's are one 64-bit word each, big-endian, `devices` one for each device.
    public var bytes: [UInt8]
    /// Both as given; nothing is checked.
    public init(name: String, bytes: [UInt8]) {
        self.name = name
        self.bytes = bytes
    }
}
