import Engine
import Handover
import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Validate

/// Takes the pre-existing domains over and attaches them, before anything else sees the devices (D4 → D6).
///
/// O(devices and PASIDs): of the tables only the roots are looked at, but for those that a dead engine had built, which
/// are in no record. Nothing in memory changes but the entries of devices that are quarantined, and of those that nobody
/// handed over.
public enum Restorer {
    /// A new engine with every preserved device attached or quarantined.
    @frozen
    public struct Restored: ~Copyable {
        /// Able to allocate: what nobody handed over is cleared.
        public var engine: LiveEngine
        /// The sessions of the record, as the engine knows them.
        public let sessions: [SessionID]
        /// One line per preserved device and PASID.
        public var devices: [HandoverReport.Device]
        /// The domain of each attached device and PASID: as recorded, and as the engine knows it.
        public let domains: [AttachmentKey: AttachedDomain]
        /// Requests found on the tables that a dead engine had built for them.
        public let foundReplaced: [AttachmentKey]
        /// Of a record that is damaged in part: table pages, 4 KiB each, that no row of it has, as the trees in memory say.
        public let unrecordedTables: [PhysicalRange]
    }

    /// The domain of a restored device's requests.
    public struct AttachedDomain: Sendable, Hashable {
        /// Its id in the record.
        public var recorded: DomainID
        /// Its id in the new engine.
        public var engine: DomainID
        /// The token that iommufd adopts it by; `nil` for a pass-through domain.
        public var token: UInt64?
        /// The tables are those of the record (not those that a dead engine had built).
        public var isRecordedTree: Bool
        /// The domain of the host's tables below a guest's: as recorded, as the engine knows it, its token; `nil` unless
        /// the domain is a nested one.
        public var host: Host?

        /// The second stage of a nested domain.
        public struct Host: Sendable, Hashable {
            /// Its id in the record.
            public var recorded: DomainID
            /// Its id in the new engine.
            public var engine: DomainID
            /// The token that iommufd adopts it by.
            public var token: UInt64?
        }

        /// Whose tables the host answers for: the domain's own, or those below the guest's.
        public var tables: Host { host ?? Host(recorded: recorded, engine: engine, token: token) }
    }

    /// Restores what `recorded` holds into a fresh engine over `machine`.
    ///
    /// A unit that is missing or configured otherwise quarantines every device behind it; a device of which one entry in
    /// memory is not the recorded one is quarantined with all its PASIDs, unless `evidence` explains the entry.
    ///
    /// Domains of `losses` are not taken over: devices that use one are quarantined. Then the tables of every domain are
    /// walked, since the record may not name all of their frames: O(tables).
    ///
    /// - Throws: a refusal that no device can do without (no session, no memory for a default domain).
    public static func restore(
        _ recorded: Snapshot, machine: Machine, losses: RecordLosses = .init(),
        evidence: ReplaceEvidence = .init(), configuration: EngineConfiguration, crash: CrashHook = { _ in },
        sink: @escaping EventSink
    ) throws(Refusal) -> Restored {
        var work = try RestoreWork.begin(
            recorded, machine: machine, losses: losses, evidence: evidence, configuration: configuration, sink: sink)
        try work.takeOverUnits()
        try work.addSessions()
        try work.adoptDomains()
        work.attach(crash)
        return try work.finish()
    }
}
