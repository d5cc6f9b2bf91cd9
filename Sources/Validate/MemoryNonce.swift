import Store

/// What surviving memory says about the handover.
public enum MemoryNonce: Sendable, Hashable {
    /// No memory was given: nothing can be restored in place, only built again from the record.
    case noMemory
    /// There is memory, and no nonce in it: it is not the memory of a handover.
    case absent
    /// The memory of a handover; whose, its nonce says.
    case present(HandoverNonce)

    /// Of memory whose handover page holds `bytes`; `nil` and anything but 16 bytes are no nonce.
    public init(_ bytes: [UInt8]?) { self = bytes.flatMap { HandoverNonce(bytes: $0) }.map(Self.present) ?? .absent }
}
