import Hardware
import IOMMUModel
import PageTables

/// Rules about nested entries of one unit: the guest's root is in memory that the second stage maps. The guest's tables
/// themselves are its own, and not recorded.
struct GuestRules {
    let unit: RecordedUnit
    let memory: MemoryView

    private struct Root: Hashable {
        var guest: PhysicalAddress
        var host: TranslationStage
    }

    func check(into log: inout FindingLog) {
        guard let hardware = unit.hardware else { return }
        var readable: [Root: Bool] = [:]
        for entry in unit.listing?.entries ?? [] {
            guard let context = entry.context, case .nested(let first, let second) = context.path else { continue }
            let root = Root(guest: first.root, host: second)
            let isReadable = readable[root] ?? self.isReadable(first.root, second)
            readable[root] = isReadable
            guard !isReadable else { continue }
            log.add(
                Finding(
                    .guestTableUnmapped, device: unit.requester(entry.rid), pasid: entry.pasid,
                    address: EntryWords(context, hardware).root,
                    "the guest's root table \(first.root) is where the second stage lets the hardware read nothing"))
        }
    }

    /// True also where the record lacks a page on the way: that is a finding of its own.
    private func isReadable(_ page: PhysicalAddress, _ host: TranslationStage) -> Bool {
        var quiet = host
        quiet.configuration.accessedDirty = false
        let result = Walker.translate(quiet, memory: memory, iova: IOVA(page.rawValue), access: .read)
        if case .fault = result { return false }
        return true
    }
}
