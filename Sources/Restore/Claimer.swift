import Engine
import Handover
import IOMMUModel
import PageTables
import Snapshot
import Validate

/// The userspace that comes back for its devices: claim, adopt, rebuild, compare, replace, finish (D6 → D12).
///
/// It knows what it knew before: its areas. From them it builds new address spaces beside the inherited domains; the
/// kernel compares and switches.
public struct Claimer: ~Copyable {
    private let recorded: Snapshot
    private let sessions: [SessionID]
    private let attached: [AttachmentKey: Restorer.AttachedDomain]
    /// Requests still on their way, by device, then PASID.
    public private(set) var pending: [AttachmentKey]
    private var rebuilt: [DomainID: HWPTID] = [:]

    /// For the devices in `devices`, which were restored and have a clean audit: each with all its PASIDs.
    public init(
        _ recorded: Snapshot, sessions: [SessionID], attached: [AttachmentKey: Restorer.AttachedDomain],
        devices: Set<RequesterID>
    ) {
        self.recorded = recorded
        self.sessions = sessions
        self.attached = attached
        pending = attached.keys.filter { devices.contains($0.requester) }.sorted()
    }

    /// VFIO claims every device through the session. - Returns: how many.
    public mutating func claim(_ engine: inout LiveEngine) throws(Errno) -> Int {
        let devices = Set(pending.map(\.requester)).sorted()
        for requester in devices {
            guard let session = engine.attachment(requester, pasid: nil)?.session else { throw .ENOENT }
            try engine.claim(requester, session: session)
        }
        return devices.count
    }

    /// iommufd gets an object for every inherited domain with tables. - Returns: how many.
    public mutating func adopt(_ engine: inout LiveEngine) throws(Errno) -> Int {
        // The host's tables below a guest's first: their object is the parent of the guest's.
        let hosts = Set(pending.compactMap { attached[$0]?.tables.token })
        let guests = Set(pending.compactMap { attached[$0]?.token }).subtracting(hosts)
        // A token is unique over all sessions: the old iommufds' HWPTs were one engine's.
        var sessions: [UInt64: SessionID] = [:]
        for domain in engine.domains { if let token = domain.token { sessions[token] = domain.session } }
        for token in hosts.sorted() + guests.sorted() {
            guard let session = sessions[token] else { throw .ENOENT }
            _ = try engine.adoptHWPT(token: token, session: session)
        }
        return hosts.count + guests.count
    }

    /// What a rebuild made.
    public struct Rebuilt: Sendable, Hashable {
        /// New address spaces, each with one HWPT.
        public var spaces = 0
        /// Areas mapped, over all spaces.
        public var areas = 0
        /// Table pages of the new HWPTs.
        public var tablePages = 0
    }

    /// Builds a new IOAS with the recorded areas, and a new HWPT, for every inherited domain; in new frames.
    ///
    /// O(areas and the tables they need).
    ///
    /// - Parameter mapped: called after each area: a million of them are as many events, which somebody has to take.
    public mutating func rebuild(
        _ engine: inout LiveEngine, mapped: () -> Void = {}
    ) throws(Errno) -> Rebuilt {
        var result = Rebuilt()
        var files: [BackingID: BackingID] = [:]
        for file in recorded.backings {
            files[file.id] = try engine.addBacking(
                file.kind == .physical ? .physical : .memfd, base: file.base, byteCount: file.byteCount,
                sealed: file.isSealed, assumed: file.isAssumed)
        }
        let areas = areaPlaces()
        for domain in Set(pending.compactMap { attached[$0]?.tables.recorded }).sorted() {
            guard let object = recorded.hwpts.first(where: { $0.domain == domain }),
                let place = recorded.domainUnits.first(where: { $0.domain == domain }), let tables = place.tables
            else { continue }
            let ioas = try engine.createIOAS()
            let kind = recorded.units.first { $0.id == place.unit }?.kind
            // An engine's own guest tables on AMD have no upper half.
            let bits = Int(tables.addressBits) - (tables.signExtended && kind == .amdVi ? 1 : 0)
            let hwpt = try engine.createHWPT(
                ioas: ioas, unit: place.unit, addressBits: bits, format: tables.format)
            for index in areas[object.ioas, default: []].joined() {
                let area = recorded.areas[index]
                guard let backing = files[area.backing] else { throw .ENOENT }
                try engine.map(
                    ioas: ioas, iova: area.range.first, byteCount: area.range.lastOffset &+ 1, backing: backing,
                    offset: area.offset, protection: area.protection)
                result.areas += 1
                mapped()
            }
            rebuilt[domain] = hwpt
            result.spaces += 1
            result.tablePages += engine.hwpt(hwpt).map { engine.tablePages(of: $0.domain).count } ?? 0
        }
        // The guests' tables are where they were; only the host's below them are new.
        for key in pending {
            guard let domain = attached[key], let host = domain.host, rebuilt[domain.recorded] == nil,
                let parent = rebuilt[host.recorded],
                let place = recorded.domainUnits.first(where: { $0.domain == domain.recorded }),
                let tables = place.tables
            else { continue }
            rebuilt[domain.recorded] = try engine.createNestedHWPT(
                parent: parent, unit: place.unit, root: tables.root, topLevel: Int(tables.topLevel))
        }
        return result
    }

    /// Where the areas of each address space stand in the record: in one row, unless it is out of order. O(areas).
    private func areaPlaces() -> [IOASID: [Range<Int>]] {
        let areas = recorded.areas
        var places: [IOASID: [Range<Int>]] = [:]
        var first = 0
        for index in areas.indices where index + 1 == areas.count || areas[index + 1].ioas != areas[index].ioas {
            places[areas[index].ioas, default: []].append(first..<index + 1)
            first = index + 1
        }
        return places
    }

    /// Compares each inherited tree with the new one.
    ///
    /// - Returns: bytes found equal, and what differs first, for whatever cannot be replaced.
    public mutating func compare(
        _ engine: inout LiveEngine
    ) -> (equalBytes: UInt64, differing: [(key: AttachmentKey, what: String)]) {
        var bytes: UInt64 = 0
        var differing: [(key: AttachmentKey, what: String)] = []
        var verdicts: [DomainID: TreeComparison] = [:]
        for key in pending {
            guard let host = attached[key]?.tables, let hwpt = rebuilt[host.recorded],
                let old = engine.domain(host.engine)?.table,
                let new = engine.hwpt(hwpt).flatMap({ engine.domain($0.domain)?.table })
            else { continue }
            let verdict =
                verdicts[host.engine]
                ?? TreeComparison.compare(
                    old.configuration, root: old.root, new.configuration, root: new.root,
                    memory: engine.machine.memory.view)
            if verdicts.updateValue(verdict, forKey: host.engine) == nil, case .equal(let mapped) = verdict {
                bytes += mapped
            }
            switch verdict {
            case .equal:
                do throws(Errno) {
                    if !engine.isVerified(key, by: hwpt) {
                        try engine.verify(key.requester, pasid: key.pasid, with: hwpt)
                    }
                } catch { differing.append((key, error.name)) }
            case .differs(let difference): differing.append((key, "\(difference)"))
            case .unreadable(let root, let why): differing.append((key, "tree at \(root): \(why)"))
            }
        }
        let stopped = Set(differing.map(\.key))
        pending.removeAll { stopped.contains($0) }
        return (bytes, differing)
    }

    /// What is about to be switched, as events that must be durable before ``replace(_:crash:)``.
    public func announce(_ engine: inout LiveEngine) {
        for key in pending {
            guard let domain = attached[key], let hwpt = rebuilt[domain.recorded],
                let host = rebuilt[domain.tables.recorded],
                let table = engine.hwpt(host).flatMap({ engine.domain($0.domain)?.table }),
                let tag = engine.replacementTag(of: key, by: hwpt)
            else { continue }
            engine.note(.phase, ReplaceEvidence.eventName, ReplaceEvidence.arguments(key, table: table, tag: tag))
        }
    }

    /// What a replace came to.
    public struct Replaced: Sendable {
        /// On new tables.
        public var replaced: [AttachmentKey] = []
        /// Pass-through: nothing to replace, they stay on their entry.
        public var passedThrough: [AttachmentKey] = []
        /// What stays on the inherited tables: the engine refused to switch it.
        public var refused: [(key: AttachmentKey, errno: Errno)] = []
        /// Table pages of the inherited domains that went with their last device.
        public var freedPages = 0
    }

    /// Switches all requests whose trees are equal to their new HWPT, those that share host tables together; the inherited
    /// domain goes with its last one. What is refused stays where it is, and the others go on.
    public mutating func replace(
        _ engine: inout LiveEngine, crash: CrashHook = { _ in }
    ) throws(Errno) -> Replaced {
        var result = Replaced()
        var settled: Set<AttachmentKey> = []
        for key in pending where !settled.contains(key) {
            guard let domain = attached[key], rebuilt[domain.recorded] != nil else {
                try engine.keepIdentity(key.requester)
                result.passedThrough.append(key)
                continue
            }
            let keys = engine.requestsSharingHost(with: key)
            settled.formUnion(keys)
            let host = domain.tables.engine
            let before = engine.tablePages(of: host).count
            do throws(Errno) {
                try replace(keys, &engine)
            } catch {
                result.refused += keys.map { ($0, error) }
                continue
            }
            if engine.domain(host) == nil { result.freedPages += before }
            let isFirst = result.replaced.isEmpty
            result.replaced += keys
            if isFirst { crash(.inReplace) }
        }
        return result
    }

    private func replace(_ keys: [AttachmentKey], _ engine: inout LiveEngine) throws(Errno) {
        var targets: [PASID?: HWPTID] = [:]
        for key in keys {
            guard let hwpt = attached[key].flatMap({ rebuilt[$0.recorded] }) else { throw .EINVAL }
            targets[key.pasid] = hwpt
        }
        guard keys.count == 1, let (pasid, hwpt) = targets.first else {
            return try engine.replace(keys[0].requester, with: targets)
        }
        try engine.replace(keys[0].requester, pasid: pasid, with: hwpt)
    }

    /// Ends every session: all or nothing.
    public func finish(_ engine: inout LiveEngine) throws(Refusal) {
        for session in sessions { try engine.finish(session) }
    }
}
