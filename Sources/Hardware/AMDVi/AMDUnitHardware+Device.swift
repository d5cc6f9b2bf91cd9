import IOMMUModel
import PageTables

/// From a requester to its device table entry.
extension AMDUnitHardware {
    /// The device table entry of `rid` and its address; `nil` when its page is not in memory. `rid` must be inside the
    /// table.
    func deviceEntry(
        _ rid: UInt16, memory: MemoryView
    ) -> (entry: AMDDeviceTableEntry, address: PhysicalAddress)? {
        let address = PhysicalAddress(
            registers.deviceTable.rawValue &+ AMDLookupIndex.deviceEntryOffset(rid))
        guard let words = memory.page(at: address) else { return nil }
        let first = Int(truncatingIfNeeded: address.pageOffset &>> 3)
        let entry = AMDDeviceTableEntry(
            word0: words[first], word1: words[first &+ 1], word2: words[first &+ 2], word3: words[first &+ 3])
        return (entry, address)
    }

    /// The first step of a lookup: the device table entry of `rid`, interpreted.
    func device(_ rid: UInt16, memory: MemoryView) -> AMDDeviceLookup {
        guard Int(rid) < registers.deviceTableBase.entryCount else {
            return .fault(HardwareFault(.amd(AMDFaultReason(.deviceBeyondTable)), at: nil))
        }
        guard let (entry, address) = deviceEntry(rid, memory: memory) else {
            let offset = AMDLookupIndex.deviceEntryOffset(rid) & ~0xfff
            return .absent(page: PhysicalAddress(registers.deviceTable.rawValue &+ offset))
        }
        guard entry.isValid else { return .untranslated }
        do throws(AMDFaultCause) {
            return .device(try interpret(entry, at: address))
        } catch {
            // SE and SA suppress page faults, not illegal entries.
            let suppressed = error.event == .pageFault && (entry.suppressesFaults || entry.suppressesRepeatedFaults)
            return .fault(
                HardwareFault(
                    .amd(AMDFaultReason(error, flags: error.flags)), at: address, isRecorded: !suppressed))
        }
    }

    /// What a device table entry with V means: reserved bits, then TV, then guest translation, then the mode.
    ///
    /// GCR3TRPMode of the control register says whether the root of a nested entry's GCR3 table is an address of the
    /// guest. Source: Linux, `CONTROL_GCR3TRPMODE` (bit 58; its patch: with the mode DTE[GCR3TRP] is a GPA instead of an
    /// SPA) and drivers/iommu/amd/nested.c, which nests in that mode only and copies the guest's own pointer into the
    /// entry. The same is taken to hold for the pointers from one GCR3 table to the next, of which no source speaks:
    /// whoever wrote the tables knew addresses of one kind. The guest CR3s in level 1 are the guest's addresses whenever
    /// there are host tables.
    func interpret(
        _ entry: AMDDeviceTableEntry, at address: PhysicalAddress
    ) throws(AMDFaultCause) -> AMDDevice {
        guard !entry.hasMemoryViolation else { throw .deviceEntryReserved }
        guard entry.translationValid else { throw .translationInvalid }
        var device = AMDDevice(entry: entry, address: address)
        if entry.guestTranslation {
            let paging = entry.guestPagingModeCode
            guard let features = registers.features, entry.guestLevelsCode < features.gcr3Levels, paging <= 1,
                4 + paging <= registers.guestLevels, !entry.guestIOProtection || features.guestIOProtection
            else { throw .guestMode }
            let nested = entry.mode != 0
            let guestAddressed = nested && registers.control?.guestAddressesGCR3 != false
            device.guest = AMDDevice.Guest(
                root: guestAddressed ? entry.gcr3Root : registers.withoutEncryption(entry.gcr3Root),
                levels: entry.guestLevelsCode + 1, topLevel: 3 + paging, isGuestAddressed: guestAddressed,
                servesUntagged: entry.guestIOProtection)
        }
        if entry.mode != 0 {
            let setsBits = entry.hostAccessedDirtyCode & 1 != 0 && registers.features?.hostAccessedDirty == true
            guard entry.mode != 7,
                let configuration = hostConfiguration(
                    topLevel: entry.mode - 1, protection: entry.protection,
                    accessedDirty: updatesAccessedDirty && setsBits)
            else { throw .pagingMode }
            device.host = TranslationStage(
                configuration: configuration, root: registers.withoutEncryption(entry.hostRoot))
        }
        return device
    }
}
