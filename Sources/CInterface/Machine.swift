// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of domstore.h, which says what each function does and which its signature is held against.

import CDomstore
import DomainStore
import Glibc

/// As `domstore_version` in domstore.h.
@c @implementation
public func domstore_version() -> CInt { DOMSTORE_VERSION }

/// As `domstore_create` in domstore.h.
@c @implementation
public func domstore_create(
    _ kind: CInt, _ memoryBytes: UInt64, _ seed: UInt64, _ machine: UnsafeMutablePointer<OpaquePointer?>!
) -> CInt {
    guard let machine else { return -EINVAL }
    machine.pointee = nil
    let unit: UnitDescription
    switch Int(kind) {
    case DOMSTORE_INTEL_VTD: unit = .intelVTd(UnitID(1))
    case DOMSTORE_AMD_VI: unit = .amdVi(UnitID(1))
    default: return -EINVAL
    }
    var configuration = SimulatedMachine.Configuration(memoryBytes: memoryBytes, units: [unit], devices: [])
    configuration.seed = seed
    guard configuration.isInRange else { return -EINVAL }
    machine.pointee = OpaquePointer(Unmanaged.passRetained(Handle(configuration)).toOpaque())
    return 0
}

/// As `domstore_destroy` in domstore.h.
@c @implementation
public func domstore_destroy(_ machine: OpaquePointer!) {
    guard let machine else { return }
    Unmanaged<Handle>.fromOpaque(UnsafeRawPointer(machine)).release()
}

/// As `domstore_error` in domstore.h.
@c @implementation
public func domstore_error(_ machine: OpaquePointer!) -> UnsafePointer<CChar>! {
    guard let machine else {
        let empty: StaticString = ""
        return UnsafeRawPointer(empty.utf8Start).assumingMemoryBound(to: CChar.self)
    }
    return UnsafePointer(Handle.of(machine).text)
}

/// As `domstore_add_device` in domstore.h.
@c @implementation
public func domstore_add_device(_ machine: OpaquePointer!, _ device: UInt16) -> CInt {
    guard let machine else { return -EINVAL }
    let handle = Handle.of(machine)
    return handle.perform { try handle.add(MachineDevice(vfio: requester(device))) }
}

/// As `domstore_memory` in domstore.h.
@c @implementation
public func domstore_memory(
    _ machine: OpaquePointer!, _ address: UInt64, _ bytes: UInt64
) -> UnsafeMutableRawPointer! {
    var result: UnsafeMutableRawPointer?
    _ = perform(machine) { _, machine in
        guard let count = Int(exactly: bytes) else { throw Errno.EFAULT }
        result = try machine.memory(at: PhysicalAddress(address), byteCount: count).baseAddress
    }
    return result
}
