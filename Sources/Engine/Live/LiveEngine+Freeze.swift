import Hardware
import IOMMUModel

/// How a freeze ended: the engine is never lost, it only changes its type.
public enum FreezeOutcome: ~Copyable {
    /// Nothing changes any more.
    case frozen(FrozenEngine)
    /// The guards refused; the engine goes on as if nothing had happened.
    case refused(LiveEngine, Refusal)
}

extension LiveEngine {
    /// Whether a freeze would be refused, and why: the guards on every preserved device and the immutability of its IOAS,
    /// asked again; power and interrupts (`EINVAL`: its driver has to wake it up, or to mask them, first). Appends nothing.
    public func freezeObstacle() -> Refusal? {
        for requester in sessions.flatMap(\.devices) {
            guard let attachment = attachmentTable[AttachmentKey(requester)] else { continue }
            do throws(Refusal) {
                try checkDevice(attachment.requester, PreserveOptions(lab: attachment.isLab))
            } catch {
                return error
            }
            // A device that sleeps, or whose interrupts would come to nobody.
            guard let device = machine.device(requester), device.isPowered, !device.interruptsEnabled else {
                return Refusal(.EINVAL, requester: requester)
            }
            for key in attachmentKeys(of: requester) {
                guard let domain = attachmentTable[key].flatMap({ domainTable[$0.domain] }), domain.kind.hasTables
                else { continue }
                guard let ioas = domain.hwpt.flatMap({ hostIOAS(of: $0) }).flatMap({ ioasTable[$0] }), ioas.isImmutable
                else { return Refusal(.EBUSY, .preserveDomain, requester: requester, pasid: key.pasid) }
            }
        }
        return nil
    }

    /// Stops all change: from here on nothing can be mapped or attached until the engine thaws or jumps.
    ///
    /// Devices that are not preserved, also those that a former kernel left and nobody preserved again (preservation is
    /// never sticky), get the blocking domain: their lookup entries, and those of requesters that the
    /// engine knows nothing of, are cleared and invalidated, and kept for ``FrozenEngine/thaw()``. One whose group must
    /// not be blocked keeps its entry and is listed. O(devices and lookup entries), not O(tables).
    public consuming func freeze() -> FreezeOutcome {
        if let refusal = freezeObstacle() {
            var arguments: [Event.Argument] = []
            if let requester = refusal.requester { arguments.append(.init("device", requester)) }
            if let rule = refusal.rule { arguments.append(.init("rule", rule.rawValue)) }
            journal.append(.phase, "freeze", arguments, errno: refusal.errno)
            return .refused(self, refusal)
        }
        let (cleared, kept) = clearUnpreserved()
        journal.append(.phase, "freeze", [.init("cleared", cleared.count), .init("kept", kept.count)])
        return .frozen(FrozenEngine(engine: self, cleared: cleared, kept: kept))
    }

    /// Blocks every device whose device-level lookup entry does not belong to a preserved attachment.
    private mutating func clearUnpreserved() -> (cleared: [ClearedEntry], kept: [RequesterID]) {
        var cleared: [ClearedEntry] = []
        var kept: [RequesterID] = []
        for unit in machine.units where unitTable[unit.id] != nil {
            let tables = unit.lookupTables(memory: machine.memory.view)
            let entries = tables.deviceEntries()
            func isPreserved(_ requester: RequesterID) -> Bool {
                machine.device(requester)?.unit == unit.id
                    && attachmentTable[AttachmentKey(requester)]?.state == .preserved
            }
            // A damaged root table may name one context table for two buses: its entries cannot be told apart.
            let preserved = Set(entries.filter { isPreserved($0.requester) }.map(\.address))
            for entry in entries where !isPreserved(entry.requester) && !isForgotten(entry.requester) {
                let mayBlock = machine.device(entry.requester).map { isBlockable($0.group) } ?? true
                guard mayBlock, !preserved.contains(entry.address) else {
                    kept.append(entry.requester)
                    continue
                }
                cleared.append(ClearedEntry(unit: unit.id, entry: entry))
                tables.block(entry)
            }
            // Once for all: whose translations each entry led to, for whatever PASID, need not be known.
            if cleared.contains(where: { $0.unit == unit.id }) { unit.invalidateAll() }
        }
        return (cleared, kept.sorted())
    }

    /// Puts the entries back that a freeze cleared.
    mutating func restore(_ cleared: [ClearedEntry]) {
        for entry in cleared.reversed() {
            guard let unit = machine.unit(entry.unit) else { continue }
            LookupMemory(unit, memory: machine.memory.view).publish(entry.entry.words, at: entry.entry.address)
            unit.invalidateContexts(of: entry.requester)
        }
    }
}

/// A device-level lookup entry that a freeze blocked, as it was.
public struct ClearedEntry: Sendable, Hashable {
    /// The unit whose structure the entry stands in.
    public var unit: UnitID
    /// The entry as it was.
    public var entry: DeviceEntry
    /// Whose entry it is; not necessarily a device that the engine knows.
    public var requester: RequesterID { entry.requester }
}
