import IOMMUModel

/// An engine inside the blackout: nothing changes any more, everything can be read, and it leaves by ``thaw()`` or
/// ``jump()`` only.
public struct FrozenEngine: ~Copyable {
    /// The state to record, read only: `frozen.engine.domains`, `.attachments`, `.tablePages(of:)` and so on.
    public private(set) var engine: LiveEngine
    /// The entries of devices that are not preserved, as they were before the freeze.
    public let cleared: [ClearedEntry]
    /// The name of the event of ``drawNonce()``.
    public static let nonceEvent = "nonce"
    /// Devices that are not preserved and must not be blocked: their entries stay (lifecycle.md, policy `keep`). So do
    /// those whose entry is at once a preserved device's, in damaged tables.
    public let kept: [RequesterID]

    init(engine: consuming LiveEngine, cleared: [ClearedEntry], kept: [RequesterID]) {
        self.engine = engine
        self.cleared = cleared
        self.kept = kept
    }

    /// Appends an event while frozen: a phase, a failed seal.
    public mutating func note(
        _ kind: Event.Kind, _ name: String, _ arguments: [Event.Argument] = [], errno: Errno? = nil
    ) {
        engine.note(kind, name, arguments, errno: errno)
    }

    /// The attachments that go over the jump.
    public var preserved: [Attachment] { engine.attachments.filter { $0.state == .preserved } }

    /// 16 bytes from the engine's random numbers: the handover's nonce. Appends an event, without the nonce, so that a
    /// replay draws it as well.
    public mutating func drawNonce() -> [UInt8] {
        engine.note(.phase, Self.nonceEvent)
        return (0..<2).flatMap { _ in withUnsafeBytes(of: engine.random.next().littleEndian, Array.init) }
    }

    /// As ``LiveEngine/takeChanges(for:)``; the freeze itself changes no book.
    package mutating func takeChanges(
        for recipient: ChangeRecipient
    ) -> (changes: EngineChanges, isEverything: Bool) {
        engine.takeChanges(for: recipient)
    }

    /// Goes back to the running engine: the cleared entries stand as before.
    public consuming func thaw() -> LiveEngine {
        engine.restore(cleared)
        engine.note(.phase, "thaw", [.init("restored", cleared.count)])
        return engine
    }

    /// The old kernel ends here; what survives is the machine.
    public consuming func jump() -> Machine { engine.machine }
}
