/// What a mapping or a table entry lets a request do.
///
/// The constants are computed so that they fold into callers in other modules; a global would be reached by a call.
@frozen
public struct Protection: OptionSet, Hashable, Sendable, CustomStringConvertible {
    /// Bit 0 is read, bit 1 write; nothing else is defined.
    public let rawValue: UInt8
    /// Any 8 bits; those above bit 1 are kept.
    @inlinable public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Bit 0.
    @inlinable public static var read: Protection { Protection(rawValue: 1) }
    /// Bit 1; it does not imply ``read``.
    @inlinable public static var write: Protection { Protection(rawValue: 2) }
    /// Both bits.
    @inlinable public static var readWrite: Protection { Protection(rawValue: 3) }

    /// `r`, `w`, `rw`, or `-` for none.
    public var description: String {
        switch (contains(.read), contains(.write)) {
        case (true, true): "rw"
        case (true, false): "r"
        case (false, true): "w"
        case (false, false): "-"
        }
    }

    /// Reads `r`, `w` or `rw`; `nil` for anything else.
    public init?(_ text: some StringProtocol) {
        switch text {
        case "r": self = .read
        case "w": self = .write
        case "rw": self = .readWrite
        default: return nil
        }
    }
}

/// One access of a device.
@frozen
public enum Access: Sendable, Hashable {
    /// The device reads memory.
    case read
    /// The device writes memory.
    case write
    /// The device fetches instructions: a read that asks for execute permission too (PASID prefix, Execute Requested).
    case execute

    /// The protection that the access needs.
    @inlinable public var needs: Protection { self == .write ? .write : .read }
}
