import IOMMUModel
import PageTables
import Snapshot

extension TableRules {
    /// What `defect` breaks.
    func finding(_ defect: TableDefect, _ target: TableTarget) -> Finding {
        let address = defect.entryAddress ?? target.pointerAddress
        let entry = "level \(defect.level) entry \(hex(defect.value))"
        let imported = index.snapshot.origin == .imported
        func report(_ rule: RuleID, severity: Severity? = nil, _ message: String) -> Finding {
            target.finding(rule, severity: severity, address: address, iova: defect.range.first, message)
        }
        switch defect.kind {
        case .reservedBits:
            return report(
                .tableReservedBits, "\(entry) for \(defect.range) has a reserved bit set: every access faults")
        case .invalidEncoding:
            return report(
                .tableReservedBits,
                "\(entry) for \(defect.range) has a type that its level has not: every access faults")
        case .addressSize:
            return report(
                .tableReservedBits,
                "\(entry) for \(defect.range) has an address above the output size: every access faults (Address size)")
        case .accessFlag:
            return report(
                .tableNoAccess, severity: .warning,
                "\(entry) for \(defect.range) has its access flag clear, which the unit does not set: every access faults"
            )
        case .res0Bits:
            return report(
                .tableReservedBits, severity: .warning,
                "\(entry) for \(defect.range) has bits set that are to be zero, which the hardware ignores")
        case .contiguousMisaligned:
            return report(
                .tableContiguousDiffers,
                "\(entry) for \(defect.range) is an item of a contiguous entry with an address of another place")
        case .invalidLevel:
            return report(
                .tableInvalidLevel, "\(entry) for \(defect.range) names a next level that is not below its own: faults")
        case .invalidPageSize:
            return report(
                .tableInvalidPageSize, "\(entry) for \(defect.range) has a size code that its level has not: faults")
        case .leafNotAllowed:
            return report(
                .tableLeafNotAllowed, "\(entry) for \(defect.range) is a leaf, which its level has none of: faults")
        case .misaligned:
            return report(
                .tableMisaligned, "\(entry) for \(defect.range) has address bits below its size, which are ignored")
        case .contiguousDiffers(let log2):
            return report(
                .tableContiguousDiffers,
                "\(entry) for \(defect.range) is an item of a contiguous entry of 2^\(log2) bytes and is not like "
                    + "the others"
            )
        case .erratum512G:
            return report(
                .tableErratum512G, "\(entry) for \(defect.range) is a leaf of 512 GiB, which hardware gets wrong")
        case .noAccess:
            return report(.tableNoAccess, "\(entry) for \(defect.range) is present and grants neither read nor write")
        case .ignoredBits:
            return report(.tableIgnoredBits, "\(entry) for \(defect.range) has bits set that nothing uses")
        case .unmappedGuestTable(let page):
            return report(
                .guestTableUnmapped,
                "\(entry) for \(defect.range) points to \(page), which the second stage does not let the hardware read")
        case .nonZeroNotPresent:
            var message = "\(entry) for \(defect.range) is not present, yet not zero"
            let page = PhysicalAddress(defect.value & target.configuration.lastPhysicalAddress.rawValue).pageBase
            if defect.level > 0, page.rawValue != 0, isMemory(page) {
                message += "; its address \(page) is memory: the tables below it are orphaned"
            }
            return report(.tableNonZeroNotPresent, message)
        case .absentPage(let page):
            let place = defect.entryAddress == nil ? "the root table \(page)" : "\(entry) points to \(page), which"
            if !mayBeMemory(page) {
                return report(.tableOutsideMemory, "\(place) is outside the machine's memory; \(defect.range) is lost")
            }
            return report(
                .tablePageUnknown, severity: imported ? .warning : .error,
                "\(place) is not recorded; \(defect.range) is unknown")
        case .reused(let page):
            return report(
                .tableReused, "\(entry) for \(defect.range) points to \(page), a table that is already in use")
        case .pageBudgetExceeded(let page):
            return report(.tableBudgetExceeded, "too many table pages: \(page) and those after it are not read")
        case .defectBudgetExceeded:
            return report(.tableBudgetExceeded, "too many defects: those after this entry are not listed")
        }
    }
}
