/// One entry in ``HeldFiles``, removed when the last reference ends.
final class HeldFile: Sendable {
    let identity: FileIdentity

    /// `nil` when this process holds the file already.
    init?(_ identity: FileIdentity) {
        guard HeldFiles.shared.insert(identity) else { return nil }
        self.identity = identity
    }

    deinit { HeldFiles.shared.remove(identity) }
}
