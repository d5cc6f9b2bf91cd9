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
    private let attached: [RequesterID: Restorer.AttachedDomain]
    /// Devices still on their way, ascending.
    public private(set) var pending: [RequesterID]
    private var rebuilt: [DomainID: HWPTID] = [:]
    private var equal: Set<DomainID> = []

    /// For the devices in `devices`, which were restored and have a clean audit.
    public init(
        _ recorded: Snapshot, sessions: [SessionID], attached: [RequesterID: Restorer.AttachedDomain],
        devices: [RequesterID]
    ) {
        self.recorded = recorded
        self.sessions = sessions
        self.attached = attached
        pending = devices.sorted()
    }

    /// VFIO claims every device through the session. - Returns: how many.
    public mutating func claim(_ engine: inout LiveEngine) throws(Errno) -> Int {
        guard let session = sessions.first else { throw .ENOENT }
        for requester in pending { try engine.claim(requester, session: session) }
        return pending.count
    }

    /// iommufd gets an object for every inherited domain with tables. - Returns: how many.
    public mutating func adopt(_ engine: inout LiveEngine) throws(Errno) -> Int {
        guard let session = sessions.first else { throw .ENOENT }
        let tokens = Set(pending.compactMap { attached[$0]?.token }).sorted()
        for token in tokens { _ = try engine.adoptHWPT(token: token, session: session) }
        return tokens.count
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
    public mutating func rebuild(_ engine: inout LiveEngine) throws(Errno) -> Rebuilt {
        var result = Rebuilt()
        var files: [BackingID: BackingID] = [:]
        for file in recorded.backings {
            files[file.id] = try engine.addBacking(
                file.kind == .physical ? .physical : .memfd, base: file.base, byteCount: file.byteCount,
                sealed: file.isSealed, assumed: file.isAssumed)
        }
        for domain in Set(pending.compactMap { attached[$0]?.recorded }).sorted() {
            guard let object = recorded.hwpts.first(where: { $0.domain == domain }),
                let place = recorded.domainUnits.first(where: { $0.domain == domain }), let tables = place.tables
            else { continue }
            let ioas = try engine.createIOAS()
            let hwpt = try engine.createHWPT(ioas: ioas, unit: place.unit, addressBits: Int(tables.addressBits))
            for area in recorded.areas where area.ioas == object.ioas {
                guard let backing = files[area.backing] else { throw .ENOENT }
                try engine.map(
                    ioas: ioas, iova: area.range.first, byteCount: area.range.lastOffset &+ 1, backing: backing,
                    offset: area.offset, protection: area.protection)
                result.areas += 1
            }
            rebuilt[domain] = hwpt
            result.spaces += 1
            result.tablePages += engine.hwpt(hwpt).map { engine.tablePages(of: $0.domain).count } ?? 0
        }
        return result
    }

    /// Compares each inherited tree with the new one.
    ///
    /// - Returns: bytes found equal, and what differs first, per device that cannot be replaced.
    public mutating func compare(
        _ engine: borrowing LiveEngine
    ) -> (equalBytes: UInt64, differing: [(requester: RequesterID, what: String)]) {
        var bytes: UInt64 = 0
        var differing: [(requester: RequesterID, what: String)] = []
        var verdicts: [DomainID: TreeComparison] = [:]
        for requester in pending {
            guard let domain = attached[requester], let hwpt = rebuilt[domain.recorded],
                let old = engine.domain(domain.engine)?.table,
                let new = engine.hwpt(hwpt).flatMap({ engine.domain($0.domain)?.table })
            else { continue }
            let verdict =
                verdicts[domain.engine]
                ?? TreeComparison.compare(
                    old.configuration, root: old.root, new.configuration, root: new.root,
                    memory: engine.machine.memory.view)
            if verdicts.updateValue(verdict, forKey: domain.engine) == nil, case .equal(let mapped) = verdict {
                bytes += mapped
            }
            switch verdict {
            case .equal: equal.insert(domain.engine)
            case .differs(let difference): differing.append((requester, "\(difference)"))
            case .unreadable(let root, let why): differing.append((requester, "tree at \(root): \(why)"))
            }
        }
        let stopped = Set(differing.map(\.requester))
        pending.removeAll { stopped.contains($0) }
        return (bytes, differing)
    }

    /// What is about to be switched, as events that must be durable before ``replace(_:crash:)``.
    public func announce(_ engine: inout LiveEngine) {
        for requester in pending {
            guard let domain = attached[requester], let hwpt = rebuilt[domain.recorded],
                let new = engine.hwpt(hwpt).flatMap({ engine.domain($0.domain) }), let table = new.table,
                let unit = engine.machine.device(requester)?.unit, let tag = new.cacheTag(on: unit)
            else { continue }
            engine.note(
                .phase, ReplaceEvidence.eventName, ReplaceEvidence.arguments(requester, table: table, tag: tag))
        }
    }

    /// What a replace came to.
    public struct Replaced: Sendable {
        /// Devices on new tables.
        public var replaced: [RequesterID] = []
        /// Pass-through devices: nothing to replace, they stay on their entry.
        public var passedThrough: [RequesterID] = []
        /// Devices that stay on the inherited tables: the engine refused to switch them.
        public var refused: [(requester: RequesterID, errno: Errno)] = []
        /// Table pages of the inherited domains that went with their last device.
        public var freedPages = 0
    }

    /// Switches every device whose trees are equal to its new HWPT; the inherited domain goes with its last device. One
    /// that is refused stays where it is, and the others go on.
    public mutating func replace(
        _ engine: inout LiveEngine, crash: CrashHook = { _ in }
    ) throws(Errno) -> Replaced {
        var result = Replaced()
        for requester in pending {
            guard let domain = attached[requester], let hwpt = rebuilt[domain.recorded] else {
                try engine.keepIdentity(requester)
                result.passedThrough.append(requester)
                continue
            }
            let before = engine.tablePages(of: domain.engine).count
            do throws(Errno) {
                try engine.replace(requester, with: hwpt, verified: equal.contains(domain.engine))
            } catch {
                result.refused.append((requester, error))
                continue
            }
            if engine.domain(domain.engine) == nil { result.freedPages += before }
            result.replaced.append(requester)
            if result.replaced.count == 1 { crash(.inReplace) }
        }
        return result
    }

    /// Ends every session: all or nothing.
    public func finish(_ engine: inout LiveEngine) throws(Refusal) {
        for session in sessions { try engine.finish(session) }
    }
}
