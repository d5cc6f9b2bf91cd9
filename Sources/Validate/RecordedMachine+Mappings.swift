import Hardware
import IOMMUModel
import PageTables
import Snapshot

extension RecordedMachine {
    /// The way of one device's requests with one PASID, or untagged.
    package struct Way {
        package var device: RequesterID
        package var pasid: PASID?
        var unit: RecordedUnit
        package var path: TranslationPath
    }

    /// Tables that were read once.
    private enum Tree {
        case single(TableTree)
        case nested(NestedTree)

        /// Of two stages the first.
        var tables: TableTree {
            switch self {
            case .single(let tree): tree
            case .nested(let tree): tree.first
            }
        }
    }

    /// Every device and PASID that the hardware translates for, sorted.
    ///
    /// What a listing has is told also where the device may not use the PASID (VT-d: PASIDE is 0), which is a finding
    /// of its own. A device whose entry is not valid is not told (AMD: V is 0, its requests pass unchanged).
    package func ways() -> [Way] {
        var found: [Way] = []
        for unit in units {
            guard let hardware = unit.hardware else { continue }
            if !hardware.translationEnabled {
                // Translation is off: whatever the tables say, every request passes through.
                for device in snapshot.devices where device.unit == unit.record.id {
                    found.append(Way(device: device.requester, unit: unit, path: .passThrough(.readWrite)))
                }
            } else {
                for entry in unit.listing?.entries ?? [] {
                    guard let path = entry.context?.path else { continue }
                    found.append(Way(device: unit.requester(entry.rid), pasid: entry.pasid, unit: unit, path: path))
                }
            }
        }
        return found.sorted {
            $0.device != $1.device ? $0.device < $1.device : PASID?.precedes($0.pasid, $1.pasid)
        }
    }

    /// Calls `body` with each maximal run that the hardware would translate, sorted by device, PASID and IOVA, until it
    /// answers false. The interrupt window is left out where requests to it are no accesses to memory; a pass-through
    /// device has one run (less that window) over the whole host address width. Nested translation is told through both
    /// stages, where the guest's tables are recorded. Devices that share tables share one scan.
    ///
    /// Bounded: `budget` for each tree and each telling of it, `total` for all together, beyond which the last tree may go
    /// by its own. (Of two stages the pieces of both count.) What they leave out is said.
    ///
    /// - Parameters:
    ///   - device: only this one.
    ///   - pasid: only this one, `.some(nil)` for untagged.
    @discardableResult
    public func forEachMapping(
        device: RequesterID? = nil, pasid: PASID?? = nil, budget: ScanBudget = ScanBudget(),
        total: ScanBudget = .allTrees, _ body: (RecordedMapping) -> Bool
    ) -> MappingsEnd {
        let all = ways().filter {
            (device == nil || $0.device == device) && (pasid == nil || .some($0.pasid) == pasid)
        }
        return forEachMapping(of: all, budget: budget, total: total, body)
    }

    /// The same of some of the ``ways()``.
    @discardableResult
    package func forEachMapping(
        of all: [Way], budget: ScanBudget = ScanBudget(), total: ScanBudget = .allTrees,
        _ body: (RecordedMapping) -> Bool
    ) -> MappingsEnd {
        var users: [TranslationPath: Int] = [:]
        for way in all { users[way.path, default: 0] += 1 }
        var trees: [TranslationPath: Tree] = [:]
        var left = total
        var short: [Way] = []
        for (number, way) in all.enumerated() {
            guard left.pages > 0, left.runs > 0 else {
                short += all[number...]
                break
            }
            func tell(_ run: TranslatedRun) -> Bool {
                for part in way.unit.withoutInterrupts(run, isTagged: way.pasid != nil) {
                    let mapping = RecordedMapping(
                        device: way.device, pasid: way.pasid, range: part.range, pa: part.pa,
                        protection: part.protection)
                    if !body(mapping) { return false }
                }
                return true
            }
            if case .passThrough(let protection) = way.path {
                left.runs -= 1
                if let run = way.unit.passThroughRun(protection), !tell(run) { return .stopped }
                continue
            }
            let known = trees[way.path]
            guard let tree = known ?? scan(way.path, budget.limited(to: left)) else { continue }
            if known == nil { left.pages -= tree.tables.nodeCount }
            // Kept only while another device still needs it.
            users[way.path, default: 1] -= 1
            trees[way.path] = users[way.path] == 0 ? nil : tree
            let isWhole: Bool
            switch tree {
            case .single(let tree):
                var cursor = tree.runCursor()
                while let (run, _) = cursor.next() {
                    guard tell(run) else { return .stopped }
                }
                left.runs -= cursor.visited
                isWhole = cursor.budgetExceededAt == nil
            case .nested(let tree):
                var cursor = tree.runCursor(memory: memory.view)
                while let (run, _) = cursor.next() {
                    guard tell(run) else { return .stopped }
                }
                left.runs -= cursor.visited
                isWhole = cursor.budgetExceededAt == nil
            }
            if !isWhole || !tree.tables.isComplete { short.append(way) }
        }
        guard let first = short.first else { return .complete }
        return .budgetExceeded(device: first.device, pasid: first.pasid, requests: short.count)
    }

    private func scan(_ path: TranslationPath, _ budget: ScanBudget) -> Tree? {
        switch path {
        case .passThrough: nil
        case .single(let stage): .single(Walker.scan(stage, memory: memory.view, budget: budget))
        case .nested(let first, let second):
            .nested(Walker.scan(first: first, second: second, memory: memory.view, budget: budget))
        }
    }

    /// The runs of ``forEachMapping(device:pasid:budget:total:_:)`` in an array, as far as its budgets go.
    public func mappings(device: RequesterID? = nil, pasid: PASID?? = nil) -> [RecordedMapping] {
        var all: [RecordedMapping] = []
        forEachMapping(device: device, pasid: pasid) { mapping in
            all.append(mapping)
            return true
        }
        return all
    }
}

extension RecordedUnit {
    /// What passes unchanged; `nil` when nothing does.
    fileprivate func passThroughRun(_ protection: Protection) -> TranslatedRun? {
        let width = UInt64(record.hostAddressWidth)
        let last = width >= 64 ? UInt64.max : (1 << width) - 1
        guard !protection.isEmpty, let range = IOVARange(first: IOVA(0), last: IOVA(last)) else { return nil }
        return TranslatedRun(range: range, pa: PhysicalAddress(0), protection: protection)
    }

    /// `run` without the requests to the interrupt window, and for VT-d without the translations that end there, which
    /// it refuses.
    fileprivate func withoutInterrupts(_ run: TranslatedRun, isTagged: Bool) -> [TranslatedRun] {
        let window = IOMMUHardware.interruptWindow
        var parts = [run]
        if record.kind.usesInterruptWindow(isTagged: isTagged) { parts = parts.flatMap { $0.without(window) } }
        if record.kind == .intelVTd {
            parts = parts.flatMap { part -> [TranslatedRun] in
                // The inputs that end in the window, if any.
                let last = part.pa.rawValue &+ part.range.lastOffset
                guard part.pa.rawValue <= window.last.rawValue, last >= window.first.rawValue else { return [part] }
                let from = max(part.pa.rawValue, window.first.rawValue) &- part.pa.rawValue
                let to = min(last, window.last.rawValue) &- part.pa.rawValue
                let first = part.range.first.rawValue
                guard let hole = IOVARange(first: IOVA(first &+ from), last: IOVA(first &+ to)) else { return [part] }
                return part.without(hole)
            }
        }
        return parts
    }
}

extension TranslatedRun {
    /// The run without `hole`: none, one or two parts.
    fileprivate func without(_ hole: IOVARange) -> [TranslatedRun] {
        range.without(hole).map {
            TranslatedRun(
                range: $0, pa: PhysicalAddress(pa.rawValue &+ $0.first.distance(from: range.first)),
                protection: protection)
        }
    }
}
