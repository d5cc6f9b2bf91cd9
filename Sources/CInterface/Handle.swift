import CDomstore
import DomainStore
import Glibc

/// What is behind a `domstore_machine`.
final class Handle {
    private var configuration: SimulatedMachine.Configuration
    private var started: SimulatedMachine?
    /// The text of the last error, for C.
    private(set) var text: UnsafeMutablePointer<CChar> = strdup("")

    init(_ configuration: SimulatedMachine.Configuration) { self.configuration = configuration }

    deinit { free(text) }

    static func of(_ pointer: OpaquePointer) -> Handle {
        Unmanaged.fromOpaque(UnsafeRawPointer(pointer)).takeUnretainedValue()
    }

    /// The devices of the machine.
    var devices: [RequesterID] { configuration.devices.map(\.requester) }

    /// The machine, which starts with the first call.
    func machine() throws -> SimulatedMachine {
        if let started { return started }
        let machine = try SimulatedMachine(configuration)
        started = machine
        return machine
    }

    func add(_ device: MachineDevice) throws(Errno) {
        guard started == nil else { throw .EBUSY }
        guard !devices.contains(device.requester) else { throw .EEXIST }
        configuration.devices.append(device)
    }

    func note(_ message: String) {
        free(text)
        text = strdup(message)
    }

    /// Runs `body`, and answers 0 or what it throws as a negative errno.
    func perform(_ body: () throws -> Void) -> CInt {
        do {
            try body()
            return 0
        } catch {
            note((error as? Errno)?.name ?? "\(error)")
            return -errorNumber(error)
        }
    }
}

/// The device of segment 0.
func requester(_ device: UInt16) -> RequesterID { RequesterID(segment: 0, rid: device) }

/// Runs `body` on a machine, and answers 0 or what it throws as a negative errno.
func perform(_ pointer: OpaquePointer?, _ body: (Handle, SimulatedMachine) throws -> Void) -> CInt {
    guard let pointer else { return -EINVAL }
    let handle = Handle.of(pointer)
    return handle.perform { try body(handle, try handle.machine()) }
}

/// What C gets for an error of the library.
private func errorNumber(_ error: any Error) -> CInt {
    switch error {
    case let error as Errno: error.rawValue
    case let error as Refusal: error.errno.rawValue
    case let error as RestoreRefusal: error.errno?.rawValue ?? EINVAL
    case is DMAFault: EFAULT
    case let error as StoreError: errorNumber(error)
    default: EINVAL
    }
}

private func errorNumber(_ error: StoreError) -> CInt {
    switch error {
    case .cannotOpen(_, let errno), .io(_, _, let errno): errno
    case .emptyDirectory, .noSealedGeneration, .noSuchGeneration: ENOENT
    case .alreadyExists: EEXIST
    case .heldByEngine, .heldHere: EBUSY
    case .symbolicLink: ELOOP
    case .sqlite, .closed, .verificationFailed: EIO
    default: EINVAL
    }
}
