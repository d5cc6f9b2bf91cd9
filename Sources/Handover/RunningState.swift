import Engine
import IOMMUModel
import Snapshot

/// Turns an imported snapshot into a running engine over the same memory: the image's state becomes the live state
/// (lifecycle.md, "Imported machines").
public enum RunningState {
    /// The engine, and what of the snapshot it goes by.
    @frozen
    public struct Taken: ~Copyable {
        /// Running, on the memory as it was.
        public var engine: LiveEngine
        /// The session that stands for the one no image holds.
        public let session: SessionID
        /// The engine's id of each domain of the snapshot that could be taken over.
        public let domains: [DomainID: DomainID]
        /// Devices whose entry or tables could not be taken over as they are, with the reason.
        public let left: [(requester: RequesterID, pasid: PASID?, refusal: Refusal)]
    }

    /// Takes over units, tags, domains, address spaces and attachments; changes nothing in memory. O(records).
    ///
    /// - Throws: the refusal of a unit, or of an object that no device can do without.
    public static func takeOver(
        _ snapshot: Snapshot, machine: Machine, configuration: EngineConfiguration, sink: @escaping EventSink
    ) throws(Refusal) -> Taken {
        var books: RestoringEngine
        do throws(Errno) {
            books = try RestoringEngine(
                machine: machine, source: .running, configuration: configuration, sink: sink)
        } catch {
            throw Refusal(error)
        }
        for unit in snapshot.units { try books.takeOver(unit: unit.id) }
        for key in Set(snapshot.cacheTags.values.joined()).sorted() {
            try books.reserveTag(unit: key.unit, tag: key.tag)
        }
        let pages = snapshot.tablePages.flatMap(\.pages.entries) + snapshot.lookupPages.flatMap(\.pages.entries)
        books.hold(frames: pages.compactMap { PhysicalRange(first: $0.address, bytes: 4096) })

        do {
            let session = try books.addSession(snapshot.sessions.first?.name ?? "imported")
            var files: [BackingID: BackingID] = [:]
            for file in snapshot.backings {
                files[file.id] = try books.addBacking(
                    file.kind == .physical ? .physical : .memfd, base: file.base, byteCount: file.byteCount,
                    sealed: file.isSealed, assumed: file.isAssumed)
            }
            for group in snapshot.groups {
                try books.setOwner(group.owner, token: group.ownerToken, assumed: group.ownerAssumed, of: group.id)
            }
            let domains = try addDomains(snapshot, files: files, to: &books)
            var left: [(requester: RequesterID, pasid: PASID?, refusal: Refusal)] = []
            for attachment in snapshot.attachments {
                guard let domain = domains[attachment.domain] else {
                    left.append((attachment.requester, attachment.pasid, Refusal(.EINVAL, .preserveDomain)))
                    continue
                }
                do {
                    try books.attachRestored(
                        attachment.requester, pasid: attachment.pasid, domain: domain,
                        entryAddress: attachment.entryAddress, space: attachment.space)
                } catch {
                    left.append((attachment.requester, attachment.pasid, error))
                }
            }
            return Taken(engine: try books.start(), session: session, domains: domains, left: left)
        } catch let error as Refusal {
            throw error
        } catch let error as Errno {
            throw Refusal(error)
        } catch {
            preconditionFailure("the books throw refusals and error numbers only")
        }
    }

    private static func addDomains(
        _ snapshot: Snapshot, files: [BackingID: BackingID], to books: inout RestoringEngine
    ) throws -> [DomainID: DomainID] {
        var taken: [DomainID: DomainID] = [:]
        let places = Dictionary(grouping: snapshot.domainUnits, by: \.domain)
        let tags = snapshot.cacheTags
        let areas = Dictionary(grouping: snapshot.areas, by: \.ioas)
        let spaces = Dictionary(snapshot.ioases.map { ($0.id, $0) }) { first, _ in first }
        let objects = Dictionary(snapshot.hwpts.map { ($0.domain, $0) }) { first, _ in first }
        // A nested domain's parent first.
        let ordered = snapshot.domains.filter { $0.parent == nil } + snapshot.domains.filter { $0.parent != nil }
        for domain in ordered where domain.kind != .blocked {
            guard let place = places[domain.id]?.first, domain.parent == nil || taken[domain.parent!] != nil else {
                continue
            }
            let id: DomainID
            do throws(Refusal) {
                id = try books.adoptDomain(
                    kind: domain.kind, holder: domain.kind == .identity ? .core : .iommufd,
                    geometry: place.tables.map { RestoringEngine.Geometry($0) },
                    parent: domain.parent.flatMap { taken[$0] }, on: place.unit,
                    cacheTags: (tags[domain.id] ?? []).map { .init(unit: $0.unit, cacheTag: $0.tag) })
            } catch {
                // A damaged domain: its devices stay in the hands of nobody and are refused.
                continue
            }
            taken[domain.id] = id
            guard let object = objects[domain.id], let space = spaces[object.ioas] else { continue }
            guard domain.kind == .paging else {
                _ = try books.addNestedHWPT(domain: id, token: object.token)
                continue
            }
            let list = (areas[space.id] ?? []).compactMap { area in
                files[area.backing].map {
                    IOPTArea(range: area.range, backing: $0, offset: area.offset, protection: area.protection)
                }
            }
            let ioas = try books.addIOAS(areas: list, origin: space.areaOrigin)
            _ = try books.addHWPT(ioas: ioas, domain: id, token: object.token)
        }
        return taken
    }
}

extension RestoringEngine.Geometry {
    /// As recorded.
    public init(_ tables: DomainUnitRecord.Geometry) {
        self.init(
            format: tables.format, root: tables.root, topLevel: tables.topLevel, addressBits: tables.addressBits,
            signExtended: tables.signExtended)
    }
}

extension AttachmentRecord {
    /// What the unit's caches hold its translations under; `nil` when it is blocked.
    public var space: CacheSpace? { cacheTag.map { CacheSpace(tag: $0, pasid: cachePASID) } }
}
