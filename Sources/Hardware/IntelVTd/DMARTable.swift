import IOMMUModel

/// The ACPI table "DMAR" (VT-d chapter 8): which remapping units exist, where, and whom they serve.
public struct DMARTable: Sendable, Hashable {
    /// Width of host physical addresses in bits: the table's field plus one.
    public var hostAddressWidth: Int
    /// Bit 0: interrupt remapping.
    public var flags: UInt8
    /// In the order of the table.
    public var units: [Unit] = []
    /// In the order of the table.
    public var reservedMemory: [ReservedMemory] = []
    /// In the order of the table.
    public var rootPorts: [RootPorts] = []

    /// A DMA Remapping Hardware Unit Definition (VT-d 8.3).
    public struct Unit: Sendable, Hashable {
        /// The PCI segment that the unit serves.
        public var segment: UInt16
        /// 4 KiB aligned.
        public var registerBase: PhysicalAddress
        /// The unit serves every device of the segment that no other unit names.
        public var includesAll: Bool
        /// The devices that the table names; with ``includesAll`` commonly I/O APICs and HPETs only.
        public var scopes: [DMARDeviceScope]
    }

    /// A Reserved Memory Region Reporting structure (VT-d 8.4).
    public struct ReservedMemory: Sendable, Hashable {
        /// The PCI segment of the devices.
        public var segment: UInt16
        /// Both ends included, as in the table; whole pages are not demanded.
        public var range: PhysicalRange
        /// The devices that use the memory.
        public var scopes: [DMARDeviceScope]
    }

    /// A Root Port ATS Capability Reporting structure (VT-d 8.5).
    public struct RootPorts: Sendable, Hashable {
        /// The PCI segment of the ports.
        public var segment: UInt16
        /// All root ports of the segment support ATS.
        public var all: Bool
        /// The root ports that support ATS; of no account when ``all`` is set.
        public var scopes: [DMARDeviceScope]
    }

    /// Reads the whole table, its ACPI header included. Bounded by the table's own length; never reads past `bytes`.
    public init(_ bytes: [UInt8]) throws(DMARError) {
        let table = try ACPITable<DMARError>(bytes, signature: "DMAR")
        var fields = table.fields
        hostAddressWidth = Int(try fields.uint8()) + 1
        flags = try fields.uint8()
        try table.forEachStructure(typeBytes: 2) { (type, body) throws(DMARError) in
            body.skip(to: body.offset + 4)
            switch type {
            case 0: units.append(try Unit(&body))
            case 1: reservedMemory.append(try ReservedMemory(&body))
            case 2: rootPorts.append(try RootPorts(&body))
            default: break  // RHSA, ANDD, SATC, SIDP: nothing here depends on them.
            }
        }
    }

    /// The index in ``units`` of the unit that serves `requester`: the one that names it or a bridge above it, else the
    /// segment's include-all unit. Buses behind a named bridge are taken from `busesBehind`, which is asked for the
    /// secondary to subordinate range of a bridge; without an answer only the bridge's own id matches.
    public func unitIndex(
        serving requester: RequesterID, busesBehind: (RequesterID) -> ClosedRange<UInt8>? = { _ in nil }
    ) -> Int? {
        for (index, unit) in units.enumerated() where UInt32(unit.segment) == requester.segment {
            for scope in unit.scopes where scope.kind == .endpoint || scope.kind == .bridge {
                // A longer path goes through bridges whose buses are not known here.
                guard scope.path.count == 1, let first = scope.path.first,
                    let named = RequesterID(
                        segment: requester.segment, bus: scope.startBus, device: first.device, function: first.function)
                else { continue }
                if named == requester { return index }
                if scope.kind == .bridge, busesBehind(named)?.contains(requester.bus) == true { return index }
            }
        }
        return units.firstIndex { UInt32($0.segment) == requester.segment && $0.includesAll }
    }
}

extension DMARTable.Unit {
    init(_ body: inout ByteReader<DMARError>) throws(DMARError) {
        let flags = try body.uint8()
        _ = try body.uint8()
        segment = try body.uint16()
        let offset = body.offset
        let base = try body.uint64()
        guard base & 0xfff == 0 else {
            throw .value(offset: offset, found: base, expected: "a 4 KiB aligned register base")
        }
        registerBase = PhysicalAddress(base)
        includesAll = flags & 1 != 0
        scopes = try DMARDeviceScope.list(&body)
    }
}

extension DMARTable.ReservedMemory {
    init(_ body: inout ByteReader<DMARError>) throws(DMARError) {
        _ = try body.uint16()
        segment = try body.uint16()
        let offset = body.offset
        let first = try body.uint64()
        let last = try body.uint64()
        guard let range = PhysicalRange(first: PhysicalAddress(first), last: PhysicalAddress(last)) else {
            throw .value(offset: offset, found: last, expected: "a limit not below base \(hex(first))")
        }
        self.range = range
        scopes = try DMARDeviceScope.list(&body)
    }
}

extension DMARTable.RootPorts {
    init(_ body: inout ByteReader<DMARError>) throws(DMARError) {
        all = try body.uint8() & 1 != 0
        _ = try body.uint8()
        segment = try body.uint16()
        scopes = try DMARDeviceScope.list(&body)
    }
}
