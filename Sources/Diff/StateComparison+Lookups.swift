import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Validate

/// Root, context, PASID, device and GCR3 tables, entry by entry.
extension StateComparison {
    func lookupDifferences() -> [Difference] {
        let deciding = requestsByEntry()
        return Set((before.lookupPages + after.lookupPages).map(\.unit)).sorted().flatMap { unit -> [Difference] in
            func pages(_ snapshot: Snapshot) -> PageSet {
                snapshot.lookupPages.first { $0.unit == unit }?.pages ?? PageSet()
            }
            let (own, others) = (pages(before), pages(after))
            guard own != others else { return [] }
            let hardware = old.units.first { $0.record.id == unit }?.hardware
            let audit = TableAudit(own, memory: new.memory.view, ignoring: 0, limit: .max) { nil }
            var told: Set<PhysicalAddress> = []
            let entries = audit.differences.compactMap { word -> Difference? in
                guard word.found != nil else { return nil }
                let layout = hardware.flatMap { Self.layout(UInt8(word.level), $0) }
                let bytes = UInt64(layout?.wordCount ?? 1) * 8
                let entry = PhysicalAddress(word.entryAddress.rawValue / bytes * bytes)
                guard told.insert(entry).inserted else { return nil }
                return compare(entry, layout, deciding[entry] ?? [])
            }
            return entries
                + Self.alone(own, others, .lookupPage, "lookup page", "reached from unit \(unit)", [])
        }
    }

    /// The requests that each entry decides about, in either state.
    private func requestsByEntry() -> [PhysicalAddress: [Difference.Request]] {
        var result: [PhysicalAddress: Set<Difference.Request>] = [:]
        for unit in old.units + new.units {
            for entry in unit.listing?.entries ?? [] {
                let device = RequesterID(segment: unit.record.segment, rid: entry.rid)
                result[entry.entryAddress, default: []].insert(.init(device, entry.pasid))
                if entry.deviceEntryAddress != entry.entryAddress {
                    result[entry.deviceEntryAddress, default: []].insert(.init(device))
                }
            }
        }
        return result.mapValues { $0.sorted() }
    }

    private func compare(
        _ entry: PhysicalAddress, _ layout: StructureLayout?, _ requests: [Difference.Request]
    ) -> Difference {
        func words(_ memory: PhysicalMemory) -> [UInt64] {
            (0..<UInt64(layout?.wordCount ?? 1)).map {
                memory.view.word(at: PhysicalAddress(entry.rawValue &+ $0 &* 8)) ?? 0
            }
        }
        let (one, other) = (words(old.memory), words(new.memory))
        var texts: [(String, String)] = []
        var named = [UInt64](repeating: 0, count: one.count)
        for field in layout?.fields ?? [] {
            named[field.word] |= field.mask
            let (a, b) = (field.value(in: one[field.word]), field.value(in: other[field.word]))
            guard a != b else { continue }
            func text(_ value: UInt64) -> String { "\(field.name)=\(field.isAddress ? hex(value) : "\(value)")" }
            texts.append((text(a), text(b)))
        }
        // Bits that have no name there.
        for (number, mask) in named.enumerated() where (one[number] ^ other[number]) & ~mask != 0 {
            texts.append(("word\(number)=\(hex(one[number]))", "word\(number)=\(hex(other[number]))"))
        }
        var difference = Difference(
            subject: .lookupEntry, change: .changed, requests: requests,
            what: "\(layout?.name ?? "entry") has changed")
        difference.address = entry
        difference.before = texts.map(\.0).joined(separator: " ")
        difference.after = texts.map(\.1).joined(separator: " ")
        return difference
    }

    /// What an entry of a page of `level` (``LookupLevel``) is; `nil`: nothing that this version knows.
    private static func layout(_ level: UInt8, _ hardware: IOMMUHardware) -> StructureLayout? {
        var isScalable = false
        if case .vtd(let unit) = hardware { isScalable = unit.registers.rootTableAddress.mode == .scalable }
        return switch level {
        case LookupLevel.vtdRoot: isScalable ? VTDScalableRootEntry.layout : VTDRootEntry.layout
        case LookupLevel.vtdContext: VTDContextEntry.layout
        case LookupLevel.vtdScalableContext: VTDScalableContextEntry.layout
        case LookupLevel.vtdPASIDDirectory: VTDPASIDDirectoryEntry.layout
        case LookupLevel.vtdPASIDTable: VTDPASIDEntry.layout
        case LookupLevel.amdDeviceTable: AMDDeviceTableEntry.layout
        case LookupLevel.amdGCR3Level1, LookupLevel.amdGCR3Level2, LookupLevel.amdGCR3Level3: AMDGCR3Entry.layout
        case LookupLevel.smmuStreamTable: SMMUStreamTableEntry.layout
        case LookupLevel.smmuStreamTableLevel1: SMMUStreamTableDescriptor.layout
        default: nil
        }
    }
}
