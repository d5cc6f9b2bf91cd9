// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of domstore.h, which says what each function does and which its signature is held against.

import CDomstore
import DomainStore
import Glibc

/// As `domstore_translate` in domstore.h.
@c @implementation
public func domstore_translate(
    _ machine: OpaquePointer!, _ device: UInt16, _ iova: UInt64, _ access: CInt,
    _ address: UnsafeMutablePointer<UInt64>!
) -> CInt {
    perform(machine) { _, machine in
        guard let address, [DOMSTORE_READ, DOMSTORE_WRITE].contains(Int(access)) else { throw Errno.EINVAL }
        let access: Access = Int(access) == DOMSTORE_READ ? .read : .write
        let outcome = machine.translate(requester(device), iova: IOVA(iova), access: access)
        guard case .address(let found) = outcome else {
            throw DMAFault(
                key: AttachmentKey(requester(device)), iova: IOVA(iova), access: access, outcome: outcome)
        }
        address.pointee = found.rawValue
    }
}

/// As `domstore_dma_read` in domstore.h.
@c @implementation
public func domstore_dma_read(
    _ machine: OpaquePointer!, _ device: UInt16, _ iova: UInt64, _ buffer: UnsafeMutableRawPointer!, _ bytes: Int
) -> CInt {
    perform(machine) { _, machine in
        guard bytes != 0 else { return }
        guard let buffer, bytes > 0 else { throw Errno.EINVAL }
        try machine.transfer(
            AttachmentKey(requester(device)), iova: IOVA(iova), byteCount: bytes, access: .read
        ) { offset, memory in
            (buffer + offset).copyMemory(from: memory.baseAddress!, byteCount: memory.count)
        }
    }
}

/// As `domstore_dma_write` in domstore.h.
@c @implementation
public func domstore_dma_write(
    _ machine: OpaquePointer!, _ device: UInt16, _ iova: UInt64, _ buffer: UnsafeRawPointer!, _ bytes: Int
) -> CInt {
    perform(machine) { _, machine in
        guard bytes != 0 else { return }
        guard let buffer, bytes > 0 else { throw Errno.EINVAL }
        try machine.transfer(
            AttachmentKey(requester(device)), iova: IOVA(iova), byteCount: bytes, access: .write
        ) { offset, memory in
            memory.copyMemory(from: UnsafeRawBufferPointer(start: buffer + offset, count: memory.count))
        }
    }
}
