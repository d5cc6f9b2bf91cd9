import Engine
import IOMMUModel
import PageTables

extension SimulatedMachine {
    /// What a machine is built from. The same configuration and the same operations give the same bytes, in memory and in
    /// the store.
    public struct Configuration: Sendable, Hashable {
        /// Memory for drivers and devices, in bytes: whole 4 KiB pages, 4096 to 2^46. Host memory is taken as it is
        /// written.
        public var memoryBytes: UInt64
        /// Frames for page tables and lookup structures, 1 to 2^28. They lie above ``memoryBytes``, out of reach of
        /// every mapping.
        public var tablePages: UInt64 = 4096
        /// At least one; ``Engine/UnitDescription/intelVTd(_:segment:scalable:)``,
        /// ``Engine/UnitDescription/amdVi(_:segment:)``, or any other.
        public var units: [UnitDescription]
        /// Requester ids are unique; ``Engine/MachineDevice/init(vfio:unit:pasidBits:)``, or any other.
        public var devices: [MachineDevice]
        /// What firmware reserves of the address space of each group.
        public var reservedRegions: [ReservedRegion] = []
        /// Seed of all random numbers, of which the handover's nonces are made.
        public var seed: UInt64 = 1

        /// All else by default; what is wrong is told when the machine is built.
        public init(memoryBytes: UInt64, units: [UnitDescription], devices: [MachineDevice]) {
            self.memoryBytes = memoryBytes
            self.units = units
            self.devices = devices
        }

        /// The physical address of the machine's first byte of memory, 1 MiB.
        public static let memoryStart = PhysicalAddress(0x10_0000)

        /// Sizes are in range; what else may be wrong is told when the machine is built.
        public var isInRange: Bool {
            (4096...1 << 46).contains(memoryBytes) && memoryBytes & 0xfff == 0 && (1...1 << 28).contains(tablePages)
        }

        /// The range of ``memoryBytes``.
        ///
        /// - Throws: `EINVAL` sizes out of range.
        func memoryRange() throws(Errno) -> PhysicalRange {
            guard isInRange, let range = PhysicalRange(first: Self.memoryStart, bytes: memoryBytes) else {
                throw .EINVAL
            }
            return range
        }

        /// From the start up: memory, frames for tables, the handover page.
        ///
        /// - Throws: `EINVAL` sizes out of range, ``PageTables/MemoryError``, ``Engine/MachineError``.
        func build() throws -> Machine {
            let range = try memoryRange()
            let tables = PhysicalAddress(range.last.rawValue + 1)
            let page = PhysicalAddress(tables.rawValue + tablePages << 12)
            let bytes = page.rawValue + 4096 - range.first.rawValue
            var memory = PhysicalMemory()
            try memory.add(at: range.first, byteCount: bytes, region: .anonymous(bytes: Int(bytes)))
            guard let ram = PhysicalRange(first: range.first, bytes: bytes),
                let arena = PhysicalRange(first: tables, bytes: tablePages << 12)
            else { throw Errno.EINVAL }
            return try Machine(
                memory: memory, ramRanges: [ram], arenaRanges: [arena], handoverPage: page, units: units,
                devices: devices, reservedRegions: reservedRegions)
        }
    }
}
