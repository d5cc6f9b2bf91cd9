import Hardware
import IOMMUModel
import PageTables

/// One simulated IOMMU unit: registers, caches, fault log, counters. VT-d in legacy mode for now.
///
/// It knows nothing of any engine: it reads tables from memory, starting at its root register, and serves what its
/// caches hold until someone invalidates them.
public final class UnitHardware {
    /// See ``UnitDescription/id``.
    public let id: UnitID
    /// ``IOMMUKind/intelVTd``.
    public let kind: IOMMUKind
    /// The PCI segment that it serves.
    public let segment: UInt32
    /// The physical address of the register block: the unit's token across generations.
    public let registerBase: PhysicalAddress
    /// Registers, and how a request is resolved from the root register on; no cache in it.
    public private(set) var hardware: VTDUnitHardware
    private let carried: [UnitDescription.Register]

    /// What it serves without a walk; an engine changes it by invalidating only.
    public internal(set) var iotlb = IOTLB()
    /// What it serves without reading root and context entry.
    public internal(set) var contextCache = ContextCache()
    /// Faults recorded; an engine may drain it.
    public internal(set) var faultLog = FaultLog()
    /// All zero when the unit is built; a jump does not reset them.
    public internal(set) var counters = DMACounters()

    /// - Throws: ``MachineError/missingRegister(_:_:)``, ``MachineError/unsupportedUnit(_:_:)``,
    ///   ``MachineError/hostAddressWidth(_:_:)``.
    init(_ description: UnitDescription) throws(MachineError) {
        guard description.kind == .intelVTd else { throw .unsupportedUnit(description.id, description.kind) }
        guard (12...52).contains(description.hostAddressWidth) else {
            throw .hostAddressWidth(description.id, Int(description.hostAddressWidth))
        }
        id = description.id
        kind = description.kind
        segment = description.segment
        registerBase = description.registerBase
        do {
            hardware = VTDUnitHardware(
                registers: try VTDRegisters(
                    hostAddressWidth: Int(description.hostAddressWidth), named: { description[register: $0] }),
                updatesAccessedDirty: description.accessedDirty)
        } catch {
            throw .missingRegister(description.id, error.name)
        }
        carried = description.registers.filter { !Self.usedRegisters.contains($0.name) }
    }

    private static let usedRegisters = [
        VTDRegisters.Name.rootTableAddress, VTDRegisters.Name.capability, VTDRegisters.Name.extendedCapability,
        VTDRegisters.Name.globalStatus,
    ]

    /// A new root register takes effect at once; the global invalidation that must follow is the engine's.
    public var registers: VTDRegisters {
        get { hardware.registers }
        set { hardware.registers = newValue }
    }

    /// See ``UnitDescription/accessedDirty``.
    public var accessedDirty: Bool { hardware.updatesAccessedDirty }

    /// In bits.
    public var hostAddressWidth: Int { hardware.registers.hostAddressWidth }

    /// Everything but the caches as plain values, registers as they are now.
    public var description: UnitDescription {
        let used: [UnitDescription.Register] = [
            .init(VTDRegisters.Name.rootTableAddress, registers.rootTableAddress.rawValue),
            .init(VTDRegisters.Name.capability, registers.capability.rawValue),
            .init(VTDRegisters.Name.extendedCapability, registers.extendedCapability.rawValue),
            .init(VTDRegisters.Name.globalStatus, registers.globalStatus.rawValue),
        ]
        return UnitDescription(
            id: id, kind: kind, segment: segment, registerBase: registerBase,
            hostAddressWidth: UInt8(clamping: hostAddressWidth), registers: used + carried, accessedDirty: accessedDirty
        )
    }

    /// The bits that the unit sets by itself in table entries (VT-d 9.8: A is bit 8, D is bit 9); 0 when it sets none.
    public var hardwareUpdatedMask: UInt64 { accessedDirty ? 0x300 : 0 }

    /// Forgets what `requester`'s context entry said (device-selective context-cache invalidation, VT-d 6.5.1.1).
    public func invalidateContext(_ requester: RequesterID) { contextCache.invalidate(requester) }

    /// Forgets translations of `tag`; all of them, or the pages that `range` touches.
    public func invalidate(tag: UInt32, range: IOVARange? = nil) { iotlb.invalidate(tag: tag, range: range) }

    /// Forgets everything: global context-cache and IOTLB invalidation.
    public func invalidateAll() {
        contextCache.invalidateAll()
        iotlb.invalidateAll()
    }
}
