import IOMMUModel

/// What was changed in an engine's books since a recorder last asked, by key: objects made, changed or gone.
package struct EngineChanges: Sendable {
    package var groups: Set<GroupID> = []
    package var backings: Set<BackingID> = []
    package var ioases: Set<IOASID> = []
    package var hwpts: Set<HWPTID> = []
    /// Those included whose tables were changed: nothing else than their domain changes a table.
    package var domains: Set<DomainID> = []
    package var sessions: Set<SessionID> = []
    package var attachments: Set<AttachmentKey> = []

    package init() {}

    /// Adds what was changed later.
    package mutating func formUnion(_ later: EngineChanges) {
        Self.add(later.groups, to: &groups)
        Self.add(later.backings, to: &backings)
        Self.add(later.ioases, to: &ioases)
        Self.add(later.hwpts, to: &hwpts)
        Self.add(later.domains, to: &domains)
        Self.add(later.sessions, to: &sessions)
        Self.add(later.attachments, to: &attachments)
    }

    /// The usual case, nothing being there yet, costs nothing.
    private static func add<Key>(_ later: Set<Key>, to keys: inout Set<Key>) {
        if keys.isEmpty { keys = later } else { keys.formUnion(later) }
    }
}

/// Who asks an engine for its changes. An engine tells each change to one recorder: the one that asked last.
package final class ChangeRecipient {
    package init() {}
}

extension LiveEngine {
    /// Takes the changes since `recipient` asked last; everything when it is new here, or another asked in between.
    ///
    /// - Returns: the changes, and whether they are everything that there is.
    package mutating func takeChanges(for recipient: ChangeRecipient) -> (changes: EngineChanges, isEverything: Bool) {
        let isNew = changeRecipient !== recipient
        if isNew {
            changeRecipient = recipient
            groupTable.startTracking()
            backingTable.startTracking()
            ioasTable.startTracking()
            hwptTable.startTracking()
            domainTable.startTracking()
            sessionTable.startTracking()
            attachmentTable.startTracking()
        }
        var changes = EngineChanges()
        changes.groups = groupTable.takeChanges()
        changes.backings = backingTable.takeChanges()
        changes.ioases = ioasTable.takeChanges()
        changes.hwpts = hwptTable.takeChanges()
        changes.domains = domainTable.takeChanges()
        changes.sessions = sessionTable.takeChanges()
        changes.attachments = attachmentTable.takeChanges()
        return (changes, isNew)
    }
}
