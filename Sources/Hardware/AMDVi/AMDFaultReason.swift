/// Why a request was refused: the event that the unit logs, its flags, and what was wrong (AMD 48882 2.5).
public struct AMDFaultReason: Error, Sendable, Hashable {
    /// The event.
    public var event: Event
    /// The EventCode field, bits 31:28 of an entry's second double word.
    public var eventCode: UInt8 { event.rawValue }

    /// The events that a device's request can cause (AMD 48882 2.5.1 to 2.5.9).
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
    }
}

extension AMDFaultReason: CustomStringConvertible {
    /// The event's name.
    public var description: String { "event \(eventCode)" }
}
