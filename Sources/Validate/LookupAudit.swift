import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Recorded lookup entries against memory, device by device. O(1) per device: part of the restore itself.
public struct LookupAudit: Sendable {
    private let memory: PhysicalMemory
    private let devices: [RequesterID: UnitID]
    private let roots: [UnitID: PhysicalAddress]

    /// Decodes the recorded lookup pages; table pages are not touched.
    public init(_ snapshot: Snapshot) throws(MemoryError) {
        var lookups = Snapshot(origin: snapshot.origin)
        lookups.lookupPages = snapshot.lookupPages
        memory = try RecordedMemory(lookups).memory
        devices = Dictionary(
            snapshot.devices.map { ($0.requester, $0.unit) }, uniquingKeysWith: { first, _ in first })
        roots = Dictionary(
            snapshot.units.compactMap { unit in
                unit[register: VTDRegisters.Name.rootTableAddress].map {
                    (unit.id, VTDRootTableAddress(rawValue: $0).rootTable)
                }
            }, uniquingKeysWith: { first, _ in first })
    }

    /// What differs between the recorded root and context entry of `device` and the words that `live` holds there:
    /// empty when nothing does. The words are those at the recorded addresses.
    public func check(_ device: RequesterID, live: MemoryView) -> [Finding] {
        guard let unit = devices[device], let root = roots[unit] else {
            return [
                Finding(.referenceUnresolved, device: device, "no unit with a root table is recorded for the device")
            ]
        }
        guard let rootEntry = VTDLookupIndex.rootEntry(device.rid, in: root), let recorded = words(rootEntry) else {
            return [
                Finding(
                    .lookupPageUnknown, severity: .error, device: device, address: root,
                    "root table \(root) is not recorded")
            ]
        }
        var findings = compare(device, "root entry", rootEntry, recorded, live)
        let entry = VTDRootEntry(low: recorded[0], high: recorded[1])
        guard entry.isPresent, let place = VTDLookupIndex.contextEntry(device.rid, in: entry.contextTable) else {
            return findings
        }
        guard let context = words(place) else {
            findings.append(
                Finding(
                    .lookupPageUnknown, severity: .error, device: device, address: rootEntry,
                    "context table \(entry.contextTable) is not recorded"))
            return findings
        }
        return findings + compare(device, "context entry", place, context, live)
    }

    private func words(_ address: PhysicalAddress) -> [UInt64]? {
        guard let second = address.offset(by: 8), let low = memory.word(at: address), let high = memory.word(at: second)
        else { return nil }
        return [low, high]
    }

    private func compare(
        _ device: RequesterID, _ what: String, _ address: PhysicalAddress, _ recorded: [UInt64], _ live: MemoryView
    ) -> [Finding] {
        recorded.enumerated().compactMap { number, word in
            guard let place = address.offset(by: UInt64(number) * 8) else { return nil }
            let found = live.word(at: place)
            guard found != word else { return nil }
            let now = found.map { "is \(hex($0))" } ?? "is not in memory"
            return Finding(
                .lookupMemoryDiffers, device: device, address: place,
                "word \(number) of the \(what) \(now), recorded \(hex(word))")
        }
    }
}
