import IOMMUModel

/// The ACPI table "IVRS" (AMD 48882 5.2): which IOMMUs exist, where, and whom they serve.
public struct IVRSTable: Sendable, Hashable {
    /// Width of system physical addresses in bits: IVinfo 14:8.
    public var physicalAddressBits: Int
    /// Width of input addresses of v1 tables in bits: IVinfo 21:15; 0 when the table does not say.
    public var virtualAddressBits: Int
    /// Blocks of types 11h and 40h hold the extended feature registers: IVinfo 0.
    public var reportsFeatures: Bool
    /// In the order of the table, each unit once: of several blocks for one unit the one of the highest type counts.
    public var units: [Unit] = []
    /// In the order of the table.
    public var memory: [MemoryDefinition] = []

    /// An I/O Virtualization Hardware Definition block, IVHD (AMD 48882 5.2.2.1).
    public struct Unit: Sendable, Hashable {
        /// 10h, 11h or 40h.
        public var type: UInt8
        /// The PCI segment that the unit serves.
        public var segment: UInt16
        /// The unit's own PCI function.
        public var rid: UInt16
        /// Of the MMIO registers, 4 KiB aligned.
        public var registerBase: PhysicalAddress
        /// The unit's extended feature register; `nil` in a block of type 10h.
        public var features: AMDExtendedFeatures?
        /// In the order of the block.
        public var entries: [IVRSDeviceEntry]
    }

    /// An I/O Virtualization Memory Definition block, IVMD (AMD 48882 5.2.2.3): memory that devices use beside the
    /// operating system.
    public struct MemoryDefinition: Sendable, Hashable {
        /// The PCI segment of the devices.
        public var segment: UInt16
        /// Both ends included.
        public var requesters: ClosedRange<UInt16>
        /// Both ends included, as in the table; whole pages are not demanded.
        public var range: PhysicalRange
        /// The memory must be mapped 1:1 with ``protection``; otherwise it is only described.
        public var isUnityMapped: Bool
        /// Of the 1:1 mapping.
        public var protection: Protection
        /// The memory is an exclusion range: requests to it are not translated.
        public var isExclusion: Bool
    }

    /// Reads the whole table, its ACPI header included. Bounded by the table's own length; never reads past `bytes`.
    public init(_ bytes: [UInt8]) throws(IVRSError) {
        let table = try ACPITable<IVRSError>(bytes, signature: "IVRS")
        var fields = table.fields
        let info = try fields.uint32()
        physicalAddressBits = Int(info >> 8 & 0x7f)
        virtualAddressBits = Int(info >> 15 & 0x7f)
        reportsFeatures = info & 1 != 0
        try table.forEachStructure(typeBytes: 1) { (type, body) throws(IVRSError) in
            switch type {
            case 0x10, 0x11, 0x40: add(try Unit(&body))
            case 0x20, 0x21, 0x22: memory.append(try MemoryDefinition(&body))
            default: break  // Nothing here depends on blocks of other types.
            }
        }
    }

    private mutating func add(_ unit: Unit) {
        guard let known = units.firstIndex(where: { $0.segment == unit.segment && $0.rid == unit.rid }) else {
            units.append(unit)
            return
        }
        if unit.type >= units[known].type { units[known] = unit }
    }

    /// The index in ``units`` of the unit that serves `requester`: the one that names it, else the one that serves all
    /// of its segment. A unit does not serve itself, whatever the table says.
    public func unitIndex(serving requester: RequesterID) -> Int? {
        serving(requester)?.unit
    }

    /// The requester id under which the requests of `requester` reach their unit: another's for a device behind a bridge
    /// that takes ownership, its own otherwise.
    public func alias(of requester: RequesterID) -> RequesterID {
        guard let alias = serving(requester)?.entry.alias else { return requester }
        return RequesterID(segment: requester.segment, rid: alias)
    }

    private func serving(_ requester: RequesterID) -> (unit: Int, entry: IVRSDeviceEntry)? {
        var general: (unit: Int, entry: IVRSDeviceEntry)?
        for (index, unit) in units.enumerated()
        where UInt32(unit.segment) == requester.segment && unit.rid != requester.rid {
            for entry in unit.entries where entry.requesters.contains(requester.rid) {
                if entry.kind != .all { return (index, entry) }
                if general == nil { general = (index, entry) }
            }
        }
        return general
    }
}

extension IVRSTable.Unit {
    /// `body` begins at the block's first byte.
    init(_ body: inout ByteReader<IVRSError>) throws(IVRSError) {
        type = try body.uint8()
        _ = try body.uint8()
        _ = try body.uint16()
        rid = try body.uint16()
        _ = try body.uint16()
        let offset = body.offset
        let base = try body.uint64()
        guard base & 0xfff == 0 else {
            throw .value(offset: offset, found: base, expected: "a 4 KiB aligned register base")
        }
        registerBase = PhysicalAddress(base)
        segment = try body.uint16()
        _ = try body.uint16()
        _ = try body.uint32()
        if type != 0x10 {
            features = AMDExtendedFeatures(rawValue: try body.uint64())
            _ = try body.uint64()
        }
        entries = try IVRSDeviceEntry.list(&body)
    }
}

extension IVRSTable.MemoryDefinition {
    /// `body` begins at the block's first byte.
    init(_ body: inout ByteReader<IVRSError>) throws(IVRSError) {
        let type = try body.uint8()
        let flags = try body.uint8()
        _ = try body.uint16()
        let offset = body.offset
        let first = try body.uint16()
        let last = try body.uint16()
        switch type {
        case 0x20: requesters = 0...0xffff
        case 0x21: requesters = first...first
        default:
            guard first <= last else {
                throw .value(
                    offset: offset + 2, found: UInt64(last),
                    expected: "an end not below \(hex(UInt64(first), digits: 1))")
            }
            requesters = first...last
        }
        segment = try body.uint16()
        body.skip(to: body.offset + 6)
        let base = try body.uint64()
        let size = try body.uint64()
        guard let range = PhysicalRange(first: PhysicalAddress(base), bytes: size) else {
            throw .value(
                offset: offset + 20, found: size, expected: "a length that is not 0 and fits above \(hex(base))")
        }
        self.range = range
        isUnityMapped = flags & 1 != 0
        protection = Protection(rawValue: flags >> 1 & 3)
        isExclusion = flags & 8 != 0
    }
}
