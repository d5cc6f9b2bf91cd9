// swift-format-ignore-file: AlwaysUseLowerCamelCase
// The names are those of domstore.h, which says what each function does and which its signature is held against.

import CDomstore
import DomainStore
import Glibc

/// As `domstore_freeze` in domstore.h.
@c @implementation
public func domstore_freeze(_ machine: OpaquePointer!) -> CInt {
    perform(machine) { handle, machine in
        var preserved: [RequesterID] = []
        do throws(Refusal) {
            for device in handle.devices where machine.phase == .running && machine.ioas(of: device) != nil {
                try machine.preserve(device)
                preserved.append(device)
            }
            try machine.freeze()
        } catch {
            for device in preserved.reversed() { try machine.unpreserve(device) }
            throw error
        }
    }
}

/// As `domstore_thaw` in domstore.h.
@c @implementation
public func domstore_thaw(_ machine: OpaquePointer!) -> CInt {
    perform(machine) { handle, machine in
        guard machine.phase == .frozen else { throw Errno.EBUSY }
        // The kernel goes on also when the store could not be told.
        let told = Result { try machine.thaw() }
        for device in handle.devices.reversed() where machine.ioas(of: device) != nil {
            try machine.unpreserve(device)
        }
        try told.get()
    }
}

/// As `domstore_seal` in domstore.h.
@c @implementation
public func domstore_seal(_ machine: OpaquePointer!, _ store: UnsafePointer<CChar>!) -> CInt {
    perform(machine) { _, machine in
        guard let store else { throw Errno.EINVAL }
        _ = try machine.seal(into: String(cString: store))
    }
}

/// As `domstore_jump` in domstore.h.
@c @implementation
public func domstore_jump(_ machine: OpaquePointer!) -> CInt {
    perform(machine) { _, machine in try machine.jump() }
}

/// As `domstore_restore` in domstore.h.
@c @implementation
public func domstore_restore(
    _ machine: OpaquePointer!, _ store: UnsafePointer<CChar>!, _ quarantined: UnsafeMutablePointer<CInt>!
) -> CInt {
    perform(machine) { handle, machine in
        guard let store else { throw Errno.EINVAL }
        let lost = try machine.restore(from: String(cString: store)).filter { $0.state == .quarantined }
        quarantined?.pointee = CInt(Set(lost.map(\.requester)).count)
        if let first = lost.first { handle.note("\(first.requester): \(first.reason)") }
    }
}

/// As `domstore_finish` in domstore.h.
@c @implementation
public func domstore_finish(_ machine: OpaquePointer!) -> CInt {
    perform(machine) { _, machine in
        _ = try machine.replace()
        try machine.finish()
    }
}
