import IOMMUModel

/// A Device Scope structure of the DMAR table (VT-d 8.3.1): a device by the path from a host bridge's bus to it.
public struct DMARDeviceScope: Sendable, Hashable {
    /// What the path leads to: the structure's Type field (VT-d 8.3.1).
    public enum Kind: UInt8, Sendable, Hashable, CaseIterable {
        /// The device itself.
        case endpoint = 1
        /// The bridge and everything behind it.
        case bridge = 2
        /// An I/O APIC, by the requester id of its interrupts.
        case ioapic = 3
        /// A timer block that sends MSIs.
        case hpet = 4
        /// A device of the ACPI name space.
        case acpiDevice = 5
    }

    /// One step of the path.
    public struct Step: Sendable, Hashable {
        /// 0 to 31.
        public var device: UInt8
        /// 0 to 7.
        public var function: UInt8
    }

    /// `nil` for a type that this version does not know.
    public var kind: Kind?
    /// The I/O APIC's id, the HPET's number or the ACPI device's number; means nothing for other kinds.
    public var enumerationID: UInt8
    /// The bus that the first step of the path is on.
    public var startBus: UInt8
    /// At least one step; more than one leads through bridges.
    public var path: [Step]

    /// All scopes up to the end of the structure.
    static func list(_ body: inout ByteReader<DMARError>) throws(DMARError) -> [DMARDeviceScope] {
        var scopes: [DMARDeviceScope] = []
        while !body.isAtEnd {
            let start = body.offset
            let type = try body.uint8()
            let size = Int(try body.uint8())
            guard size >= 8, size & 1 == 0, size <= body.end - start else {
                throw .length(
                    offset: start + 1, found: UInt64(size), expected: "an even 8 to \(body.end - start)")
            }
            _ = try body.uint16()
            let id = try body.uint8()
            let bus = try body.uint8()
            var path: [Step] = []
            for _ in 0..<((size - 6) / 2) {
                let offset = body.offset
                let step = Step(device: try body.uint8(), function: try body.uint8())
                guard step.device < 32, step.function < 8 else {
                    throw .value(
                        offset: offset, found: UInt64(step.device) << 8 | UInt64(step.function),
                        expected: "a device below 32 and a function below 8")
                }
                path.append(step)
            }
            scopes.append(
                DMARDeviceScope(kind: Kind(rawValue: type), enumerationID: id, startBus: bus, path: path))
        }
        return scopes
    }
}
