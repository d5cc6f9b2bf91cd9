import Hardware
import IOMMUModel
import PageTables

/// One simulated IOMMU unit of any vendor: registers, caches, fault log, counters.
///
/// It knows nothing of any engine: it reads tables from memory, starting at its root register, and serves what its
/// caches hold until someone invalidates them.
public final class UnitHardware {
    /// See ``UnitDescription/id``.
    public let id: UnitID
    /// The PCI segment that it serves.
    public let segment: UInt32
    /// The physical address of the register block: the unit's token across generations.
    public let registerBase: PhysicalAddress
    /// In bits.
    public let hostAddressWidth: Int
    /// See ``UnitDescription/encryptionBit``.
    public let encryptionBit: UInt8?
    /// See ``UnitDescription/accessedDirty``.
    public let accessedDirty: Bool
    /// Registers, and how a request is resolved from the root register on; no cache in it. A new root register takes
    /// effect at once; the global invalidation that must follow is the engine's.
    public internal(set) var hardware: IOMMUHardware {
        didSet { contextCache.isTranslating = hardware.translationEnabled }
    }
    private let carried: [UnitDescription.Register]
    /// Counts the words that engines have written into its lookup structures: as long as it stands still, so do they.
    package internal(set) var lookupWrites: UInt64 = 0
    /// Called after each change of a lookup entry, before any invalidation: devices do DMA at that instant, too.
    var entryChanged: (() -> Void)?
    /// Valid while the unit lives.
    let caches: UnsafeMutablePointer<UnitCaches>

    /// What it serves without a walk; an engine changes it by invalidating only.
    public internal(set) var iotlb: IOTLB {
        _read { yield caches.pointee.iotlb }
        _modify { yield &caches.pointee.iotlb }
    }
    /// What it serves without reading a lookup entry.
    public internal(set) var contextCache: ContextCache {
        _read { yield caches.pointee.contexts }
        _modify { yield &caches.pointee.contexts }
    }
    /// Faults recorded; an engine may drain it.
    public internal(set) var faultLog = FaultLog()
    /// All zero when the unit is built; a jump does not reset them.
    public var counters: DMACounters {
        var counters = caches.pointee.counters
        counters.translated &+= counters.cacheHits
        return counters
    }

    /// - Throws: ``MachineError/missingRegister(_:_:)``, ``MachineError/unsupportedUnit(_:_:)``,
    ///   ``MachineError/hostAddressWidth(_:_:)``.
    init(_ description: UnitDescription) throws(MachineError) {
        guard (12...52).contains(description.hostAddressWidth) else {
            throw .hostAddressWidth(description.id, Int(description.hostAddressWidth))
        }
        let found: IOMMUHardware?
        do throws(IOMMUHardware.MissingRegister) {
            found = try IOMMUHardware(
                kind: description.kind, hostAddressWidth: Int(description.hostAddressWidth),
                encryptionBit: description.encryptionBit.map(Int.init),
                updatesAccessedDirty: description.accessedDirty, named: { description[register: $0] })
        } catch {
            throw .missingRegister(description.id, error.name)
        }
        guard let found else { throw .unsupportedUnit(description.id, description.kind) }
        hardware = found
        id = description.id
        segment = description.segment
        registerBase = description.registerBase
        hostAddressWidth = Int(description.hostAddressWidth)
        encryptionBit = description.encryptionBit
        accessedDirty = description.accessedDirty
        let used = Set(found.namedRegisters.map(\.name))
        carried = description.registers.filter { !used.contains($0.name) }
        caches = .allocate(capacity: 1)
        caches.initialize(
            to: UnitCaches(
                isTranslating: found.translationEnabled, hostAddressWidth: Int(description.hostAddressWidth),
                segment: description.segment))
    }

    deinit {
        caches.deinitialize(count: 1)
        caches.deallocate()
    }

    /// What its registers and tables mean.
    public var kind: IOMMUKind { hardware.kind }

    /// Everything but the caches as plain values, registers as they are now.
    public var description: UnitDescription {
        UnitDescription(
            id: id, kind: kind, segment: segment, registerBase: registerBase,
            hostAddressWidth: UInt8(clamping: hostAddressWidth),
            registers: hardware.namedRegisters.map { .init($0.name, $0.value) } + carried, encryptionBit: encryptionBit,
            accessedDirty: accessedDirty)
    }

    /// Forgets what the lookup structures said of one requester and PASID.
    public func invalidateContext(_ key: AttachmentKey) { contextCache.invalidate(key) }

    /// Forgets what the lookup structures said of a device, whatever the PASID.
    public func invalidateContexts(of requester: RequesterID) { contextCache.invalidate(requester) }

    /// Forgets translations of `space`; all of them, or the pages that `range` touches.
    public func invalidate(_ space: CacheSpace, range: IOVARange? = nil) { iotlb.invalidate(space, range: range) }

    /// Forgets every translation under `tag`, with whatever PASID.
    public func invalidate(tag: UInt32) { iotlb.invalidate(tag: tag) }

    /// Forgets everything: global context-cache and IOTLB invalidation.
    public func invalidateAll() {
        contextCache.invalidateAll()
        iotlb.invalidateAll()
    }
}
