import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// The machine of a snapshot as far as its pages are recorded: all that can be asked of a memory image can be asked of it.
///
/// Answers come from the recorded root registers and pages, as the hardware would give them, not from the attachments.
public struct RecordedMachine: Sendable {
    /// As given.
    public let snapshot: Snapshot
    /// The recorded pages; every other address is absent (unknown).
    public let memory: PhysicalMemory
    /// In the order of the snapshot.
    public let units: [RecordedUnit]
    let pages: RecordedMemory

    /// Decodes every recorded page once.
    public init(_ snapshot: Snapshot) throws(MemoryError) {
        self.snapshot = snapshot
        pages = try RecordedMemory(snapshot)
        self.memory = pages.memory
        let memory = pages.memory
        units = withExtendedLifetime(memory) { snapshot.units.map { RecordedUnit($0, memory: memory.view) } }
    }

    /// The unit that serves `device`: by its record, else the unit of its segment that has an entry for it, else the
    /// first of its segment. `nil` when no unit serves the segment.
    public func unit(of device: RequesterID) -> RecordedUnit? {
        if let record = snapshot.devices.first(where: { $0.requester == device }),
            let unit = units.first(where: { $0.record.id == record.unit })
        {
            return unit
        }
        let candidates = units.filter { $0.record.segment == device.segment }
        return candidates.first { $0.context(device.rid) != nil } ?? candidates.first
    }

    /// Every device that the hardware translates for, each with its unit and context, sorted.
    private func translated() -> [(device: RequesterID, unit: RecordedUnit, context: VTDContext.Translation)] {
        var found: [(device: RequesterID, unit: RecordedUnit, context: VTDContext.Translation)] = []
        for unit in units {
            guard let registers = unit.hardware?.registers else { continue }
            if !registers.globalStatus.translationEnabled {
                // Translation is off: whatever the tables say, every request passes through.
                for device in snapshot.devices where device.unit == unit.record.id {
                    found.append((device.requester, unit, .passThrough))
                }
            } else {
                for context in unit.lookup?.contexts ?? [] {
                    guard let translation = context.translation else { continue }
                    found.append((unit.requester(context.rid), unit, translation))
                }
            }
        }
        return found.sorted { $0.device < $1.device }
    }

    /// Calls `body` with each maximal run that the hardware would translate, sorted by device, PASID and IOVA, until it
    /// answers false. The interrupt window is left out; a pass-through device has one run (less that window) over the
    /// whole host address width. Devices that share tables share one scan.
    ///
    /// - Parameters:
    ///   - device: only this one.
    ///   - pasid: only this one, `.some(nil)` for untagged. Legacy mode has untagged requests only.
    public func forEachMapping(
        device: RequesterID? = nil, pasid: PASID?? = nil, budget: ScanBudget = ScanBudget(),
        _ body: (RecordedMapping) -> Bool
    ) {
        if case .some(.some) = pasid { return }
        var trees: [TreeKey: TableTree] = [:]
        var users: [TreeKey: Int] = [:]
        let all = translated().filter { device == nil || $0.device == device }
        for entry in all {
            if let key = TreeKey(entry.context) { users[key, default: 0] += 1 }
        }
        for entry in all {
            let reach = UInt64(entry.unit.record.hostAddressWidth)
            func tell(_ range: IOVARange, _ pa: PhysicalAddress, _ protection: Protection) -> Bool {
                for part in range.withoutInterruptWindow {
                    let start = PhysicalAddress(pa.rawValue &+ part.first.distance(from: range.first))
                    let mapping = RecordedMapping(
                        device: entry.device, pasid: nil, range: part, pa: start, protection: protection)
                    if !body(mapping) { return false }
                }
                return true
            }
            switch entry.context {
            case .passThrough:
                let last = reach >= 64 ? UInt64.max : (1 << reach) - 1
                guard let range = IOVARange(first: IOVA(0), last: IOVA(last)) else { continue }
                if !tell(range, PhysicalAddress(0), .readWrite) { return }
            case .tables(let configuration, let root):
                guard let key = TreeKey(entry.context) else { continue }
                let tree =
                    trees[key] ?? Walker.scan(configuration, root: root, memory: memory.view, budget: budget)
                // Kept only while another device still needs it.
                users[key, default: 1] -= 1
                trees[key] = users[key] == 0 ? nil : tree
                if tree.forEachRun({ tell($0.range, $0.pa, $0.protection) }) == .stopped { return }
            }
        }
    }

    /// The runs of ``forEachMapping(device:pasid:budget:_:)`` in an array.
    public func mappings(device: RequesterID? = nil, pasid: PASID?? = nil) -> [RecordedMapping] {
        var all: [RecordedMapping] = []
        forEachMapping(device: device, pasid: pasid) { mapping in
            all.append(mapping)
            return true
        }
        return all
    }

    /// What makes two contexts share one tree.
    private struct TreeKey: Hashable {
        var configuration: PageTableConfiguration
        var root: PhysicalAddress
        init?(_ context: VTDContext.Translation) {
            guard case .tables(let configuration, let root) = context else { return nil }
            self.configuration = configuration
            self.root = root
        }
    }
}
