import IOMMUModel

/// A live-update session: what one agent preserves before the jump and retrieves after it.
public struct Session: Sendable, Hashable {
    /// Unique in the engine, never used again.
    public let id: SessionID
    /// 1 to 63 bytes, unique.
    public let name: String
    /// It came from a former kernel: nothing can be preserved in it, it waits to be finished.
    public let isIncoming: Bool
    /// The devices preserved in it, in the order of their preserve; closing undoes them in reverse.
    public internal(set) var devices: [RequesterID] = []

    init(id: SessionID, name: String, isIncoming: Bool) {
        self.id = id
        self.name = name
        self.isIncoming = isIncoming
    }
}

/// What `preserve` may skip.
public struct PreserveOptions: Sendable, Hashable {
    /// Skips the guards on ATS and PRI, on the group's size and on its DMA owner (`--lab`). Recorded with the device.
    public var lab: Bool
    /// Without an argument no guard is skipped.
    public init(lab: Bool = false) { self.lab = lab }
}
