// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of domstore.h, which says what each function does and which its signature is held against.

import CDomstore
import DomainStore
import Glibc

/// As `domstore_attach` in domstore.h.
@c @implementation
public func domstore_attach(_ machine: OpaquePointer!, _ device: UInt16, _ peer: UInt16) -> CInt {
    perform(machine) { _, machine in
        guard peer == device else {
            return try machine.attach(requester(device), to: ioas(of: peer, machine))
        }
        let ioas = try machine.createIOAS()
        do throws(Errno) {
            try machine.attach(requester(device), to: ioas)
        } catch {
            try machine.destroyIOAS(ioas)
            throw error
        }
    }
}

/// As `domstore_detach` in domstore.h.
@c @implementation
public func domstore_detach(_ machine: OpaquePointer!, _ device: UInt16) -> CInt {
    perform(machine) { _, machine in
        let ioas = machine.ioas(of: requester(device))
        try machine.detach(requester(device))
        let isLeft = try machine.withEngine { engine in ioas.flatMap { engine.ioas($0) }?.hwpts.isEmpty == true }
        if let ioas, isLeft { try machine.destroyIOAS(ioas) }
    }
}

/// As `domstore_map` in domstore.h.
@c @implementation
public func domstore_map(
    _ machine: OpaquePointer!, _ device: UInt16, _ iova: UInt64, _ address: UInt64, _ bytes: UInt64,
    _ protection: CInt
) -> CInt {
    perform(machine) { _, machine in
        guard (DOMSTORE_READ...DOMSTORE_READ_WRITE).contains(Int(protection)) else { throw Errno.EINVAL }
        try machine.map(
            ioas(of: device, machine), iova: IOVA(iova), to: PhysicalAddress(address), byteCount: bytes,
            protection: Protection(rawValue: UInt8(protection)))
    }
}

/// As `domstore_unmap` in domstore.h.
@c @implementation
public func domstore_unmap(_ machine: OpaquePointer!, _ device: UInt16, _ iova: UInt64, _ bytes: UInt64) -> CInt {
    perform(machine) { _, machine in
        try machine.unmap(ioas(of: device, machine), iova: IOVA(iova), byteCount: bytes)
    }
}

private func ioas(of device: UInt16, _ machine: SimulatedMachine) throws(Errno) -> IOASID {
    guard machine.phase == .running else { throw .EBUSY }
    guard let ioas = machine.ioas(of: requester(device)) else { throw .ENOENT }
    return ioas
}
