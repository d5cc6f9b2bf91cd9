/// One entry of the journal of events: an operation with its arguments and result, a change of phase, or a fault.
///
/// DMA itself appears as counters and faults only.
public struct Event: Sendable, Hashable {
    /// What happened.
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        /// The engine started; what it was restored from stands in the generation's own record.
        case start
        /// A control operation (map, unmap, attach …), successful or not.
        case operation
        /// The handover entered another phase.
        case phase
        /// The hardware refused an access.
        case fault
        /// A restore, audit or compare came to a verdict.
        case verdict
        /// An earlier generation no longer counts.
        case revoke
    }

    /// Position in the journal of this generation, from 1.
    public var sequence: UInt64
    /// Engine time in nanoseconds: a parameter of the engine, not of the host.
    public var timeNanoseconds: UInt64
    /// What happened.
    public var kind: Kind
    /// The operation, phase or fault by name, for example `map` or `freeze`.
    public var name: String
    /// In the order of the operation's parameters, results last.
    public var arguments: [Argument]
    /// The error number the operation answered with; `nil` for success.
    public var errno: Errno?

    /// All as given; nothing is checked.
    public init(
        sequence: UInt64, timeNanoseconds: UInt64, kind: Kind, name: String, arguments: [Argument] = [],
        errno: Errno? = nil
    ) {
        self.sequence = sequence
        self.timeNanoseconds = timeNanoseconds
        self.kind = kind
        self.name = name
        self.arguments = arguments
        self.errno = errno
    }

    /// The value of argument `name`, or `nil`.
    public subscript(_ name: String) -> String? { arguments.first { $0.name == name }?.value }

    /// `name=value` pairs joined by one space: the form in the store.
    public var argumentText: String { arguments.map { "\($0.name)=\($0.value)" }.joined(separator: " ") }

    /// Reads ``argumentText`` back; `nil` when a part has no `=`.
    public static func arguments(fromText text: String) -> [Argument]? {
        var result: [Argument] = []
        for part in text.split(separator: " ") {
            guard let equals = part.firstIndex(of: "=") else { return nil }
            result.append(Argument(String(part[..<equals]), String(part[part.index(after: equals)...])))
        }
        return result
    }
}
