import Handover
import IOMMUModel
import Snapshot

/// The sessions of a record, as the next engine knows them.
struct RestoredSessions {
    /// In the order of the record.
    private(set) var all: [SessionID] = []
    /// By their ids in the record.
    private var engine: [SessionID: SessionID] = [:]
    /// The recorded session of each device that the record names one for, and of the domains that it goes through.
    private let ofDevice: [RequesterID: SessionID]
    private let ofDomain: [DomainID: SessionID]

    /// None is known to the engine yet. O(devices and PASIDs) when there have been several, else O(1).
    init(_ recorded: Snapshot) {
        ofDevice = DeviceSessions.read(recorded)
        guard !ofDevice.isEmpty else {
            ofDomain = [:]
            return
        }
        let parents = Dictionary(
            recorded.domains.lazy.compactMap { domain in domain.parent.map { (domain.id, $0) } },
            uniquingKeysWith: { first, _ in first })
        var homes: [DomainID: SessionID] = [:]
        for attachment in recorded.attachments {
            guard let session = ofDevice[attachment.requester] else { continue }
            homes[attachment.domain] = homes[attachment.domain] ?? session
            if let parent = parents[attachment.domain] { homes[parent] = homes[parent] ?? session }
        }
        ofDomain = homes
    }

    /// The engine has `session` for the record's `id`.
    mutating func add(_ id: SessionID, as session: SessionID) {
        all.append(session)
        engine[id] = session
    }

    /// True when the record has the device in a session that it has not.
    func isUnresolved(_ requester: RequesterID) -> Bool { ofDevice[requester].map { engine[$0] == nil } ?? false }

    /// The engine's session that a device came in; the one that there is where the record names none.
    func of(_ requester: RequesterID) -> SessionID? { ofDevice[requester].map { engine[$0] } ?? all.first }

    /// The engine's session of a domain: that of its devices.
    func of(_ domain: DomainID) -> SessionID? { ofDomain[domain].map { engine[$0] } ?? all.first }
}
