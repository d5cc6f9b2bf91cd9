import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// One cache key with two roots on a unit, in the lookup entries and in the records (lifecycle.md, cache tags).
///
/// The key is the tag and, for first-stage tables, the PASID. What a nested entry caches of the host's tables has the
/// tag alone as its key. Pass-through never collides.
struct CacheTagRules {
    let index: SnapshotIndex
    let machine: RecordedMachine

    private struct Key: Hashable {
        var unit: UnitID
        var tag: UInt32
        var pasid: PASID?
    }

    /// What a key stands for: a guest's root is told apart by the host's.
    private struct Tables: Hashable {
        var root: PhysicalAddress
        var host: PhysicalAddress?
    }

    private struct Place: Hashable {
        var device: RequesterID
        var pasid: PASID?
    }

    /// What each key stood for first, and whom each other root under it has been told of.
    private struct Book<Owner> {
        var first: [Key: (tables: Tables, owner: Owner)] = [:]
        var told: [Key: Set<Tables>] = [:]

        /// Whose the key was before, when `tables` is another root under it that is not told yet.
        mutating func enter(_ key: Key, _ tables: Tables, _ owner: Owner) -> (tables: Tables, owner: Owner)? {
            guard let known = first[key] else {
                first[key] = (tables, owner)
                return nil
            }
            guard known.tables != tables, told[key, default: []].insert(tables).inserted else { return nil }
            return known
        }
    }

    func check(into log: inout FindingLog) {
        var told: Set<Place> = []
        entries(&told, &log)
        records(&told, &log)
    }

    private func entries(_ told: inout Set<Place>, _ log: inout FindingLog) {
        var book = Book<Place>()
        for unit in machine.units {
            guard let hardware = unit.hardware else { continue }
            for entry in unit.listing?.entries ?? [] {
                guard let context = entry.context else { continue }
                let place = Place(device: unit.requester(entry.rid), pasid: entry.pasid)
                for (key, tables) in Self.keys(context, unit.record.id) {
                    guard let other = book.enter(key, tables, place), told.insert(place).inserted else { continue }
                    let owner = "\(other.owner.device)\(other.owner.pasid.map { "#\($0)" } ?? "")"
                    log.add(
                        Finding(
                            .cacheTagCollision, device: place.device, pasid: place.pasid,
                            address: EntryWords(context, hardware).tag,
                            "\(EntryWords.tagName(hardware)) \(Self.text(key)) stands for root \(tables.root) here "
                                + "and for "
                                + "\(other.tables.root) at \(owner)"))
                }
            }
        }
    }

    private static func keys(_ context: RequestContext, _ unit: UnitID) -> [(Key, Tables)] {
        let whole = Key(unit: unit, tag: context.cacheTag, pasid: context.cachePASID)
        switch context.path {
        case .passThrough: return []
        case .single(let stage): return [(whole, Tables(root: stage.root))]
        case .nested(let first, let second):
            return [
                (whole, Tables(root: first.root, host: second.root)),
                (Key(unit: unit, tag: context.cacheTag), Tables(root: second.root)),
            ]
        }
    }

    /// Only where the entries have not shown it already: they may be cleared, or not recorded.
    private func records(_ told: inout Set<Place>, _ log: inout FindingLog) {
        var book = Book<DomainID>()
        for attachment in index.snapshot.attachments {
            guard let tag = attachment.cacheTag, let unit = index.devices[attachment.requester]?.unit,
                let root = index.geometry(of: attachment.domain, on: unit)?.tables?.root
            else { continue }
            let place = Place(device: attachment.requester, pasid: attachment.pasid)
            let whole = Key(unit: unit, tag: tag, pasid: attachment.cachePASID)
            var keys = [(whole, Tables(root: root), attachment.domain)]
            if let domain = index.domains[attachment.domain], domain.kind == .nested, let parent = domain.parent {
                let host = index.geometry(of: parent, on: unit)?.tables?.root
                keys = [(whole, Tables(root: root, host: host), attachment.domain)]
                if let host { keys.append((Key(unit: unit, tag: tag), Tables(root: host), parent)) }
            }
            for (key, tables, domain) in keys {
                guard let other = book.enter(key, tables, domain), told.insert(place).inserted else { continue }
                log.add(
                    Finding(
                        .cacheTagCollision, device: place.device, pasid: place.pasid,
                        record: .init(table: "attachment", key: "device=\(place.device) pasid=\(place.pasid.label)"),
                        "cache tag \(Self.text(key)) stands for root \(tables.root) of domain \(domain) here and for "
                            + "\(other.tables.root) of domain \(other.owner)"))
            }
        }
    }

    private static func text(_ key: Key) -> String { "\(key.tag)\(key.pasid.map { " with PASID \($0)" } ?? "")" }
}
