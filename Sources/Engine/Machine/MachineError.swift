import IOMMUModel

/// Why a machine cannot be built.
public enum MachineError: Error, Sendable, Hashable, CustomStringConvertible {
    /// Two units have this id.
    case duplicateUnit(UnitID)
    /// There is no model of this kind of unit.
    case unsupportedUnit(UnitID, IOMMUKind)
    /// A register, by its ``VTDRegisters/Name``, that the unit cannot do without.
    case missingRegister(UnitID, String)
    /// The host address width is not 12 to 52 bits.
    case hostAddressWidth(UnitID, Int)
    /// Two devices have this requester id.
    case duplicateDevice(RequesterID)
    /// The unit serves another PCI segment than the device's.
    case otherSegment(UnitID, of: RequesterID)
    /// The device is behind a unit that the machine does not have.
    case unknownUnit(UnitID, of: RequesterID)
    /// A reserved region binds a group that no device is in.
    case unknownGroup(GroupID)
    /// A range that must be whole pages is not, or is empty.
    case unaligned(PhysicalRange)
    /// The range is not in the machine's memory.
    case notInMemory(PhysicalRange)
    /// Two arena ranges share a page, or one holds the handover page.
    case overlap(PhysicalRange, PhysicalRange)

    /// One line, without the file that describes the machine.
    public var description: String {
        switch self {
        case .duplicateUnit(let id): "unit \(id) is there twice"
        case .unsupportedUnit(let id, let kind): "unit \(id): no model of \(kind.rawValue)"
        case .missingRegister(let id, let name): "unit \(id): register \(name) is not given"
        case .hostAddressWidth(let id, let bits): "unit \(id): host address width \(bits) is not 12 to 52 bits"
        case .otherSegment(let unit, let requester): "device \(requester) is not on the segment of its unit \(unit)"
        case .duplicateDevice(let requester): "device \(requester) is there twice"
        case .unknownUnit(let unit, let requester): "device \(requester) is behind unit \(unit), which does not exist"
        case .unknownGroup(let group): "a reserved region names group \(group), which has no device"
        case .unaligned(let range): "\(range) is not whole 4 KiB pages"
        case .notInMemory(let range): "\(range) is not in the machine's memory"
        case .overlap(let a, let b): "\(a) and \(b) overlap"
        }
    }
}
