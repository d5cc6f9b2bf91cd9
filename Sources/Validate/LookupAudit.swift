import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Recorded lookup entries against memory, device by device: part of the restore itself.
///
/// O(entries of the device): the entries on the way of its untagged requests and of each of its attachments.
public struct LookupAudit: Sendable {
    private let memory: PhysicalMemory
    private let devices: [RequesterID: UnitID]
    private let units: [UnitID: IOMMUHardware]
    private let pasids: [RequesterID: [PASID]]

    /// Decodes the recorded lookup pages; table pages are not touched.
    public init(_ snapshot: Snapshot) throws(MemoryError) {
        var lookups = Snapshot(origin: snapshot.origin)
        lookups.lookupPages = snapshot.lookupPages
        memory = try RecordedMemory(lookups).memory
        devices = Dictionary(
            snapshot.devices.map { ($0.requester, $0.unit) }, uniquingKeysWith: { first, _ in first })
        let nothing = PhysicalMemory()
        units = Dictionary(
            snapshot.units.compactMap { unit in
                RecordedUnit(unit, memory: nothing.view).hardware.map { (unit.id, $0) }
            }, uniquingKeysWith: { first, _ in first })
        pasids = Dictionary(grouping: snapshot.attachments, by: \.requester).mapValues { $0.compactMap(\.pasid) }
    }

    /// True when every one of a unit's recorded lookup `pages` is in `live` as it was recorded: then so is every entry in
    /// them. O(pages), nothing is decoded.
    public static func isUnchanged(_ pages: PageSet, live: MemoryView) -> Bool {
        pages.entries.indices.allSatisfy { number in
            guard let words = live.page(at: pages.entries[number].address) else { return false }
            return pages.withEncoded(number) { PageRuns.matches($0, words, ignoring: 0) }
        }
    }

    /// What differs between the recorded entries on the way of the requests of `device` and the words that `live` holds
    /// at their places: empty when nothing does. Entries that several PASIDs share are told once, untagged.
    public func check(_ device: RequesterID, live: MemoryView) -> [Finding] {
        guard let unit = devices[device], let hardware = units[unit] else {
            return [
                Finding(.referenceUnresolved, device: device, "no unit with a root table is recorded for the device")
            ]
        }
        return withExtendedLifetime(memory) {
            var findings: [Finding] = []
            var seen: Set<PhysicalAddress> = []
            for pasid in [nil] + pasids[device, default: []] {
                let steps = hardware.steps(device.rid, pasid: pasid, memory: memory.view, asListed: true)
                for step in steps where seen.insert(step.address).inserted {
                    let isOwn = pasid != nil && step.address == steps.last?.address
                    findings += Self.compare(device, isOwn ? pasid : nil, step, live)
                }
                guard let page = missing(hardware, device, pasid, steps) else { continue }
                guard seen.insert(page).inserted else { continue }
                findings.append(
                    Finding(
                        .lookupPageUnknown, severity: .error, device: device, pasid: pasid,
                        address: steps.last?.address ?? page, "lookup page \(page) is not recorded"))
            }
            return findings
        }
    }

    /// The page of the structures that the record lacks on the way, or `nil`.
    private func missing(
        _ hardware: IOMMUHardware, _ device: RequesterID, _ pasid: PASID?, _ steps: [LookupStep]
    ) -> PhysicalAddress? {
        guard
            case .absent(let page) = hardware.resolve(
                device.rid, pasid: pasid, memory: memory.view, asListed: true)
        else { return nil }
        // A guest's own GCR3 table is found through the host's tables, which are none of the structures.
        if case .amd(let unit) = hardware, let words = steps.first?.words, words.count == 4,
            unit.registers.control?.guestAddressesGCR3 != false
        {
            let entry = AMDDeviceTableEntry(word0: words[0], word1: words[1], word2: words[2], word3: words[3])
            if entry.guestTranslation, entry.mode != 0 { return nil }
        }
        return page
    }

    private static func compare(
        _ device: RequesterID, _ pasid: PASID?, _ step: LookupStep, _ live: MemoryView
    ) -> [Finding] {
        // Each half of a scalable-mode root entry serves its own devices.
        let half =
            step.layout == VTDScalableRootEntry.layout
            ? (VTDLookupIndex.usesUpperScalableHalf(device.rid) ? 1 : 0) : nil
        return step.words.enumerated().compactMap { number, word in
            guard half == nil || half == number, let place = step.address.offset(by: UInt64(number) * 8) else {
                return nil
            }
            let found = live.word(at: place)
            guard found != word else { return nil }
            let now = found.map { "is \(hex($0))" } ?? "is not in memory"
            return Finding(
                .lookupMemoryDiffers, device: device, pasid: pasid, address: place,
                "word \(number) of the \(step.name) \(now), recorded \(hex(word))")
        }
    }
}
