import Engine
import Handover
import IOMMUModel
import Store

/// A machine with IOMMUs for a simulator: memory, devices, and the kernel that maps memory for them and is updated live.
///
/// Devices are the simulator's own code: they ``read(_:pasid:iova:byteCount:)`` and ``write(_:pasid:iova:_:)`` through
/// their IOMMU, in every phase, also while there is no kernel. A live update is
///
/// | step | phase after it |
/// |---|---|
/// | ``preserve(_:)`` each device that is to go on | running |
/// | ``freeze()``: nothing changes any more, devices go on | frozen |
/// | ``seal(into:)``: the record is durable | frozen |
/// | ``jump()``: the old kernel is gone | jumped |
/// | ``restore(from:)``: the new one attaches every device to its old domain, and audits | running |
/// | ``replace(meanwhile:)``: userspace is back, with tables of its own | running |
/// | ``finish()``: the session ends | running |
///
/// An operation that the phase does not offer is answered `EBUSY`. There is no global state; one machine is used by one
/// thread at a time. Same configuration, same operations: same bytes.
public final class SimulatedMachine {
    /// Which kernel there is.
    public enum Phase: Sendable, Hashable {
        /// One that does everything.
        case running
        /// One that changes nothing any more.
        case frozen
        /// None; the devices go on.
        case jumped
    }

    /// What outlives a kernel: memory, units with registers, caches, counters and fault logs, devices.
    public let hardware: Machine
    /// The physical memory that can be mapped, both ends included.
    public let memoryRange: PhysicalRange

    // At most one of both; none after a jump.
    var live: LiveEngine?
    var frozen: FrozenEngine?
    /// The devices that came over, until the session ends.
    var incoming: Incoming?
    /// Where the frozen kernel is sealed, or was meant to be.
    var sealing: (location: StoreLocation, number: UInt64)?
    /// What the kernel was restored from, and the directory of it.
    var origin: (directory: String, generation: ParentGeneration)?
    /// What the kernel did since its start: every generation that it seals has all of it.
    let events = EventBuffer()

    /// Builds the machine and starts a kernel on it: every device is blocked.
    ///
    /// - Throws: ``IOMMUModel/Errno`` `EINVAL` for sizes out of range, `ENOMEM` when the frames for tables are too few;
    ///   ``Engine/MachineError`` for units and devices that do not fit together; ``PageTables/MemoryError``.
    public init(_ configuration: Configuration) throws {
        memoryRange = try configuration.memoryRange()
        hardware = try configuration.build()
        let events = events
        live = try LiveEngine.start(hardware, configuration: .init(seed: configuration.seed)) { events.append($0) }
    }

    /// Which operations are offered now.
    public var phase: Phase { live != nil ? .running : frozen != nil ? .frozen : .jumped }

    /// The bytes at physical `address`, for whoever is not behind an IOMMU: a driver on the CPU. They stay where they are
    /// as long as the machine lives, and are not cleared by a live update.
    ///
    /// - Throws: `EFAULT` not all of them are in ``memoryRange``.
    public func memory(
        at address: PhysicalAddress, byteCount: Int
    ) throws(Errno) -> UnsafeMutableRawBufferPointer {
        guard byteCount > 0, let range = PhysicalRange(first: address, bytes: UInt64(byteCount)),
            memoryRange.contains(range), let page = hardware.memory.page(at: address)
        else { throw .EFAULT }
        // One region holds all of it.
        return UnsafeMutableRawBufferPointer(
            start: UnsafeMutableRawPointer(page) + Int(address.pageOffset), count: byteCount)
    }

    /// The kernel itself, for what this interface does not have: nested tables, other sessions, objects, invariants.
    ///
    /// - Throws: `EBUSY` unless the phase is ``Phase/running``; what `body` throws.
    public func withEngine<R>(_ body: (inout LiveEngine) throws(Errno) -> R) throws(Errno) -> R {
        guard live != nil else { throw .EBUSY }
        return try body(&live!)
    }
}
