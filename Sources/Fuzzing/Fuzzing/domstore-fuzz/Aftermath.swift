import Hardware
import IOMMUModel
import Import
import PageTables
import Snapshot
import Validate

/// An import, what must hold of its result, and all that reads the result.
enum Aftermath {
    /// Small, so that many inputs reach them.
    static let options = ImportOptions(
        pageBudget: 40, runBudget: 3000, lookupBudget: LookupBudget(pageUses: 500, pasids: 1000, devices: 1000))
    private static let scan = ScanBudget(pages: 200, runs: 4000, defects: 200)

    /// The last input made an import so large that it was not read: libFuzzer is not to keep it.
    nonisolated(unsafe) static var isTooLarge = false

    /// Refusals are results like others.
    static func run(_ image: MachineImage) {
        guard let snapshot = try? Importer.importMachine(image, options: options) else { return }
        checkBounds(snapshot)
        // Linear in tens of thousands of devices takes a second: no input to begin others from.
        guard snapshot.attachments.count <= 1500 else {
            isTooLarge = true
            return
        }
        read(snapshot)
    }

    /// No page twice at one level of a domain; no more pages and areas than allowed.
    private static func checkBounds(_ snapshot: Snapshot) {
        let pages = snapshot.tablePages.reduce(0) { $0 + $1.pages.count }
        precondition(pages <= options.pageBudget, "\(pages) table pages recorded, allowed \(options.pageBudget)")
        precondition(snapshot.areas.count <= options.runBudget, "\(snapshot.areas.count) areas recorded")
        for pages in snapshot.tablePages.map(\.pages) + snapshot.lookupPages.map(\.pages) {
            let places = Set(pages.entries.map { Place(address: $0.address, level: $0.level) })
            precondition(places.count == pages.count, "a page is recorded twice at one level")
        }
        let domains = snapshot.tablePages.map(\.domain)
        precondition(Set(domains).count == domains.count, "a domain has two sets of pages")
    }

    private struct Place: Hashable {
        var address: PhysicalAddress
        var level: UInt8
    }

    private static func read(_ snapshot: Snapshot) {
        guard let machine = try? RecordedMachine(snapshot, lookups: options.lookupBudget) else {
            preconditionFailure("the recorded pages make no memory")
        }
        let all = ScanBudget(pages: 2000, runs: 20_000, defects: 2000)
        let limits = Checker.Limits(findingsPerRule: 20, scan: scan, allScans: all)
        _ = Checker(limits: limits).check(machine)
        for device in snapshot.devices.prefix(4) {
            var left = 5000
            machine.forEachMapping(device: device.requester, budget: scan) { _ in
                left -= 1
                return left > 0
            }
        }
        for attachment in snapshot.attachments.prefix(6) { trace(machine, attachment) }
    }

    private static func trace(_ machine: RecordedMachine, _ attachment: AttachmentRecord) {
        for iova: UInt64 in [0, 0x10_0000, 0x20_1234, 0xfee0_0000, 0x7fff_ffff_f000, .max] {
            for access in [Access.read, .write] {
                let trace = machine.trace(
                    device: attachment.requester, pasid: attachment.pasid, iova: IOVA(iova), access: access)
                precondition(trace != nil, "\(attachment.requester) is attached to no unit")
            }
        }
    }
}
