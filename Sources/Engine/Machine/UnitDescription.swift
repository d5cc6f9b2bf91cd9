import IOMMUModel

/// One IOMMU unit as plain values: what a machine is built from, and what is recorded of it.
public struct UnitDescription: Sendable, Hashable {
    /// Unique in a machine.
    public var id: UnitID
    /// A machine has models of all kinds but ``IOMMUKind/riscv``.
    public var kind: IOMMUKind
    /// The PCI segment that the unit serves.
    public var segment: UInt32
    /// The physical address of the register block: the unit's token across generations.
    public var registerBase: PhysicalAddress
    /// Host address width in bits, 12 to 52.
    public var hostAddressWidth: UInt8
    /// Registers by lower-case name, sorted by name. VT-d uses `rtaddr`, `cap`, `ecap` and `gsts`, AMD `devtab`, `control`
    /// and `efr`, SMMUv3 `strtab_base_lo`, `strtab_base_hi`, `strtab_base_cfg`, `cr0`, `cr2`, `gbpa`, `idr0`, `idr1` and
    /// `idr5`; others are only carried.
    public var registers: [Register]
    /// Position of SME's encryption bit in physical addresses (AMD: CPUID 8000_001F EBX[5:0]); `nil`: not in use.
    public var encryptionBit: UInt8?
    /// The unit sets accessed and dirty bits in the entries of host tables while it walks.
    ///
    /// VT-d's legacy context entry has no enable bit for that (SSADE is a PASID-table bit, VT-d 9.6): there it is an option
    /// of the simulated unit, so that "tables constant under the mask of hardware-updated bits" can be shown. Elsewhere
    /// it says that the engine sets the enable bits (VT-d SSADE, AMD HAD, SMMUv3 S2HA).
    public var accessedDirty: Bool

    /// One register of a unit.
    public struct Register: Sendable, Hashable {
        /// Lower case, as the vendors' units name them.
        public var name: String
        /// Registers of 32 bits are zero-extended.
        public var value: UInt64
        /// Both as given; nothing is checked.
        public init(_ name: String, _ value: UInt64) {
            self.name = name
            self.value = value
        }
    }

    /// Sorts `registers`; all else as given, nothing is checked.
    public init(
        id: UnitID, kind: IOMMUKind = .intelVTd, segment: UInt32 = 0, registerBase: PhysicalAddress,
        hostAddressWidth: UInt8 = 48, registers: [Register], encryptionBit: UInt8? = nil, accessedDirty: Bool = false
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

    /// The value of register `name`, or `nil` when it is not known.
    public subscript(register name: String) -> UInt64? { registers.first { $0.name == name }?.value }
}
