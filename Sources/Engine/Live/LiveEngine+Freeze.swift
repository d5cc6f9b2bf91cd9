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
    /// asked again. Appends nothing.
    public func freezeObstacle() -> Refusal? {
        for requester in sessions.flatMap(\.devices) {
            guard let attachment = attachmentTable[AttachmentKey(requester)] else { continue }
            do throws(Refusal) {
                try checkDevice(attachment.requester, PreserveOptions(lab: attachment.isLab))
            } catch {
                return error
            }
            guard let domain = domainTable[attachment.domain], domain.kind == .paging else { continue }
            guard let ioas = domain.hwpt.flatMap({ hwptTable[$0]?.ioas }).flatMap({ ioasTable[$0] }), ioas.isImmutable
            else { return Refusal(.EBUSY, .preserveDomain, requester: attachment.requester) }
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

    /// Clears every context entry that does not belong to a preserved attachment.
    private mutating func clearUnpreserved() -> (cleared: [ClearedEntry], kept: [RequesterID]) {
        var cleared: [ClearedEntry] = []
        var kept: [RequesterID] = []
        // A damaged root table may name one context table for two buses: its entries cannot be told apart.
        let preserved = Set(attachmentTable.values.filter { $0.state == .preserved }.compactMap(\.entryAddress))
        for unit in machine.units {
            guard let state = unitTable[unit.id] else { continue }
            for (bus, table) in state.contextTables.sorted(by: { $0.key < $1.key }) {
                guard let words = machine.memory.page(at: table) else { continue }
                for devfn in 0..<256 {
                    let entry = VTDContextEntry(low: words[devfn * 2], high: words[devfn * 2 + 1])
                    guard !entry.isZero else { continue }
                    let requester = RequesterID(segment: unit.segment, rid: UInt16(bus) << 8 | UInt16(devfn))
                    if machine.device(requester)?.unit == unit.id,
                        attachmentTable[AttachmentKey(requester)]?.state == .preserved
                    {
                        continue
                    }
                    let address = table.advanced(UInt64(devfn) * VTDContextEntry.byteCount)
                    let mayBlock = machine.device(requester).map { isBlockable($0.group) } ?? true
                    guard mayBlock, !preserved.contains(address) else {
                        kept.append(requester)
                        continue
                    }
                    cleared.append(ClearedEntry(unit: unit.id, requester: requester, address: address, entry: entry))
                    withdrawEntry(at: address)
                    unit.invalidateContext(requester)
                    if entry.isPresent { unit.invalidate(tag: UInt32(entry.domainID)) }
                }
            }
        }
        return (cleared, kept.sorted())
    }

    /// Puts the entries back that a freeze cleared.
    mutating func restore(_ cleared: [ClearedEntry]) {
        for entry in cleared.reversed() {
            restoreEntry(entry.entry, at: entry.address)
            machine.unit(entry.unit)?.invalidateContext(entry.requester)
        }
    }
}

/// A context entry that a freeze cleared, as it was.
public struct ClearedEntry: Sendable, Hashable {
    /// The unit whose table the entry stands in.
    public var unit: UnitID
    /// Whose entry it is; not necessarily a device that the engine knows.
    public var requester: RequesterID
    /// Of the entry's first word, 16-byte aligned.
    public var address: PhysicalAddress
    /// Both words as they were.
    public var entry: VTDContextEntry
}
