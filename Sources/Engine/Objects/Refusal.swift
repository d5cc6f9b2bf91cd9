import IOMMUModel

/// Why an operation of live update was refused: the errno and, where one is broken, the rule.
public struct Refusal: Error, Sendable, Hashable, CustomStringConvertible {
    /// What the caller of the kernel's interface gets.
    public var errno: Errno
    /// The rule that refused, `nil` for an ordinary wrong argument or state.
    public var rule: RuleID?
    /// The device that the refusal is about, if any.
    public var requester: RequesterID?
    /// Its PASID; `nil` when untagged.
    public var pasid: PASID?

    /// All as given; nothing is checked.
    public init(_ errno: Errno, _ rule: RuleID? = nil, requester: RequesterID? = nil, pasid: PASID? = nil) {
        self.errno = errno
        self.rule = rule
        self.requester = requester
        self.pasid = pasid
    }

    /// `EINVAL (rule) for SSSS:BB:DD.F#PASID`, without the parts that are `nil`.
    public var description: String {
        var text = errno.name
        if let rule { text += " (\(rule.rawValue))" }
        if let requester { text += " for \(requester)" }
        if let pasid { text += "#\(pasid)" }
        return text
    }
}
