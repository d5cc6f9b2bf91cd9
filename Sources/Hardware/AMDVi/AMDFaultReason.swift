import IOMMUModel
import PageTables

/// Why a request was refused: the event that the unit logs, the event's flags, and what was wrong (AMD 48882 2.5).
public struct AMDFaultReason: Error, Sendable, Hashable {
    /// What was wrong; it decides ``event``.
    public var cause: AMDFaultCause
    /// As the event log entry has them.
    public var flags: Flags

    /// Both as given; nothing is checked.
    public init(_ cause: AMDFaultCause, flags: Flags = []) {
        self.cause = cause
        self.flags = flags
    }

    /// The event.
    public var event: Event { cause.event }
    /// The event's EventCode field.
    public var eventCode: UInt8 { event.rawValue }

    /// The events that a device's request can cause (AMD 48882 2.5.2 to 2.5.9).
    public enum Event: UInt8, Sendable, Hashable, CaseIterable {
        /// ILLEGAL_DEV_TABLE_ENTRY.
        case illegalDeviceTableEntry = 1
        /// IO_PAGE_FAULT.
        case pageFault = 2
        /// DEV_TAB_HARDWARE_ERROR.
        case deviceTableHardwareError = 3
        /// PAGE_TAB_HARDWARE_ERROR.
        case pageTableHardwareError = 4
        /// INVALID_DEVICE_REQUEST.
        case invalidDeviceRequest = 8

        /// As the specification writes it.
        public var name: String {
            switch self {
            case .illegalDeviceTableEntry: "ILLEGAL_DEV_TABLE_ENTRY"
            case .pageFault: "IO_PAGE_FAULT"
            case .deviceTableHardwareError: "DEV_TAB_HARDWARE_ERROR"
            case .pageTableHardwareError: "PAGE_TAB_HARDWARE_ERROR"
            case .invalidDeviceRequest: "INVALID_DEVICE_REQUEST"
            }
        }
    }

    /// The Flags field of an event log entry: bits 59:48 of its first word. Not every event has every flag.
    public struct Flags: OptionSet, Sendable, Hashable {
        /// Bit 0 is bit 48 of the event.
        public let rawValue: UInt16
        /// Any 16 bits.
        @inlinable public init(rawValue: UInt16) { self.rawValue = rawValue }

        /// GN: the address is one of a guest, with a PASID.
        public static let guest = Flags(rawValue: 0x001)
        /// NX: the request asked to execute.
        public static let execute = Flags(rawValue: 0x002)
        /// US: the request has user privilege.
        public static let user = Flags(rawValue: 0x004)
        /// I: an interrupt request.
        public static let interrupt = Flags(rawValue: 0x008)
        /// PR: the entry at fault is present.
        public static let present = Flags(rawValue: 0x010)
        /// RW: the request is a write.
        public static let write = Flags(rawValue: 0x020)
        /// PE: the request lacks a permission.
        public static let permission = Flags(rawValue: 0x040)
        /// RZ: a reserved bit is set; clear, with ``present``, where a level or size is encoded wrongly.
        public static let reserved = Flags(rawValue: 0x080)
        /// TR: a translation request (ATS).
        public static let translation = Flags(rawValue: 0x100)
    }
}

extension AMDFaultReason.Flags: CustomStringConvertible {
    /// The specification's names, lowest bit first, or `-` for none.
    public var description: String {
        let names = ["GN", "NX", "US", "I", "PR", "RW", "PE", "RZ", "TR"]
        let set = names.indices.filter { rawValue >> UInt16($0) & 1 != 0 }.map { names[$0] }
        return set.isEmpty ? "-" : set.joined(separator: " ")
    }
}

extension AMDFaultReason: CustomStringConvertible {
    /// Code, name, flags and cause: `event 2h IO_PAGE_FAULT (PR RW PE): no write permission`.
    public var description: String {
        let code = String(eventCode, radix: 16, uppercase: true)
        let flags = flags.isEmpty ? "" : " (\(flags))"
        return "event \(code)h \(event.name)\(flags): \(cause.meaning)"
    }
}

extension AMDFaultReason {
    /// The event for a fault of a table walk. `guest`: the request went through guest tables.
    public init(_ fault: TranslationFault, access: Access, guest: Bool) {
        self.init(AMDFaultCause(fault), request: access, guest: guest)
    }

    /// `cause` with the flags that follow from it and from the request.
    init(_ cause: AMDFaultCause, request access: Access, guest: Bool) {
        self.init(cause, flags: cause.flags)
        switch access {
        case .read: break
        case .write: flags.insert(.write)
        case .execute: flags.insert(.execute)
        }
        if guest { flags.formUnion([.guest, .user]) }
    }
}
