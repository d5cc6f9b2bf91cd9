import IOMMUModel
import PageTables

/// What a valid device table entry makes of its device.
struct AMDDevice: Hashable {
    /// All four words, as read.
    var entry: AMDDeviceTableEntry
    /// Of the entry's first word.
    var address: PhysicalAddress
    /// The v1 tables; `nil` in mode 0.
    var host: TranslationStage?
    /// Guest translation; `nil` without GV.
    var guest: Guest?

    /// The GCR3 table and the guest tables behind it.
    struct Guest: Hashable {
        /// The GCR3 table, 4 KiB aligned, without the C-bit.
        var root: PhysicalAddress
        /// Levels of the GCR3 table, 1 to 3.
        var levels: Int
        /// Level of the guest tables' roots, 3 or 4.
        var topLevel: Int
        /// ``root``, and what the GCR3 tables above level 1 point to, are addresses of the guest, which ``AMDDevice/host``
        /// translates.
        var isGuestAddressed: Bool
        /// Untagged requests use the tables of PASID 0.
        var servesUntagged: Bool
    }

    /// The unit logs the device's page faults.
    var recordsFaults: Bool { !entry.suppressesFaults && !entry.suppressesRepeatedFaults }

    /// What untagged requests that use no guest tables meet.
    var hostContext: RequestContext {
        RequestContext(
            path: host.map { .single($0) } ?? .passThrough(entry.protection), cacheTag: UInt32(entry.domainID),
            entryAddress: address, deviceEntryAddress: address, recordsFaults: recordsFaults,
            allowsDeviceTLB: entry.allowsDeviceTLB)
    }

    /// A page fault of the device's requests.
    func pageFault(_ cause: AMDFaultCause, guest: Bool, at address: PhysicalAddress?) -> HardwareFault {
        var reason = AMDFaultReason(cause, flags: cause.flags)
        if guest { reason.flags.insert(.guest) }
        return HardwareFault(.amd(reason), at: address, isRecorded: recordsFaults)
    }
}
