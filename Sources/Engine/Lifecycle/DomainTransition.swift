import IOMMUModel

/// A change of ``DomainState``, with all that can forbid it: the rows of live-update.md 3.3, complete. Tests show each row,
/// and each guard with its error number, on an engine or in a scenario.
public enum DomainTransition: String, Sendable, Hashable, CaseIterable {
    /// The HWPT gets its token.
    case mark
    /// A device joins a session, with all that its requests go through; the IOAS becomes immutable first and is checked then.
    case preserve
    /// It is taken out again, or its session is closed.
    case revert
    /// Nothing changes any more, and what is not carried is cleared.
    case freeze
    /// The freeze, the seal or the jump failed.
    case thaw
    /// One transaction with one seal row; the nonce in memory last.
    case commit
    /// The next engine checks the record and takes units, tags and pages over.
    case stage
    /// The seal does not count, or memory is gone.
    case coldBoot = "cold boot"
    /// Core attaches the domain that is there, before anything else sees the device.
    case restore
    /// Something is not as recorded: the device is blocked.
    case quarantine
    /// VFIO takes the DMA ownership through the session.
    case claim
    /// iommufd gets an object for it, read only.
    case adopt
    /// Userspace maps an HWPT of its own beside it.
    case rebuild
    /// Both trees are compared.
    case verify
    /// The requests are switched, hitless; the old domain is freed with its last user.
    case replace
    /// The device is given up: reset, and on its default domain.
    case release
    /// The session ends, all or nothing.
    case finish
    /// The agent dies, or does not come.
    case abandon
    /// Another agent comes: of a domain that the first had adopted it finds the object again.
    case reclaim = "claim again"
    /// An operator gives the device up.
    case discard
    /// The next update comes, and nobody has claimed it: its device is blocked before the jump.
    case nextUpdate = "next update"
    /// Neither shown nor blocked.
    case stop

    /// Where it leads from.
    public var from: [DomainState] {
        switch self {
        case .mark: [.live]
        case .preserve: [.marked]
        case .revert, .freeze: [.preserved]
        case .thaw, .commit: [.frozen]
        case .stage, .coldBoot, .stop: [.inFlight]
        case .restore: [.staged]
        case .quarantine: [.staged, .restored]
        case .claim: [.restored]
        case .adopt: [.claimed]
        case .rebuild: [.adopted]
        case .verify: [.rebuilding]
        case .replace: [.verified]
        case .release: [.claimed, .adopted, .rebuilding, .verified, .quarantined]
        case .finish: [.replaced]
        case .abandon: [.restored, .claimed, .adopted, .rebuilding, .verified]
        case .reclaim: [.orphaned]
        case .discard: [.restored, .orphaned]
        case .nextUpdate: [.restored, .orphaned]
        }
    }

    /// Where it leads to; `nil`: the domain is no more.
    public var to: DomainState? {
        switch self {
        case .mark: .marked
        case .preserve, .thaw: .preserved
        case .revert: .reverted
        case .freeze: .frozen
        case .commit: .inFlight
        case .stage: .staged
        case .coldBoot, .nextUpdate: nil
        case .restore: .restored
        case .quarantine, .discard: .quarantined
        case .claim: .claimed
        case .adopt: .adopted
        case .rebuild: .rebuilding
        case .verify: .verified
        case .replace: .replaced
        case .release: .released
        case .finish: .live
        case .abandon: .orphaned
        case .reclaim: .claimed
        case .stop: .fatal
        }
    }

    /// What can forbid it.
    public struct Guard: Sendable, Hashable {
        /// What is then answered.
        public var errno: Errno
        /// The case, in words.
        public var what: String
        /// Asked outside the engine: of the record before it runs, or of two trees.
        public var isOutsideEngine: Bool

        init(_ errno: Errno, _ what: String, outsideEngine isOutsideEngine: Bool = false) {
            self.errno = errno
            self.what = what
            self.isOutsideEngine = isOutsideEngine
        }
    }

    /// In no particular order.
    public var guards: [Guard] {
        switch self {
        case .mark:
            [
                Guard(.ENOENT, "no such HWPT"), Guard(.EADDRINUSE, "the token is another HWPT's"),
                Guard(.EBUSY, "it is preserved, or adopted"),
            ]
        case .preserve:
            [
                Guard(.ENOENT, "no such session"), Guard(.EINVAL, "the session came over"),
                Guard(.ENODEV, "no PCI function"), Guard(.EOPNOTSUPP, "ATS or PRI is on"),
                Guard(.EOPNOTSUPP, "a group of several"), Guard(.EINVAL, "the DMA owner is not claimed"),
                Guard(.EBUSY, "it is preserved"), Guard(.EINVAL, "its HWPT is not marked"),
                Guard(.EINVAL, "an area is in no memory file"), Guard(.EINVAL, "a memory file is not sealed"),
                Guard(.ENOENT, "a memory file is in another session"),
                Guard(.EOPNOTSUPP, "a PASID's domain cannot be carried"),
            ]
        case .revert: [Guard(.ENOENT, "it is not preserved")]
        case .freeze:
            [
                Guard(.EINVAL, "the device sleeps"), Guard(.EINVAL, "its interrupts are on"),
                Guard(.EBUSY, "its IOAS is mutable"), Guard(.EOPNOTSUPP, "its group has grown"),
            ]
        case .thaw, .commit: []
        case .stage:
            [
                Guard(.EINVAL, "a feature that is not known", outsideEngine: true),
                Guard(.EINVAL, "the nonce is another's", outsideEngine: true),
                Guard(.ENODEV, "the unit is not there", outsideEngine: true),
                Guard(.EINVAL, "the unit is set up otherwise", outsideEngine: true),
                Guard(.EEXIST, "one cache tag for two domains", outsideEngine: true),
            ]
        case .coldBoot:
            [
                Guard(.ENOENT, "nothing is sealed", outsideEngine: true),
                Guard(.ENOENT, "the seal is revoked", outsideEngine: true),
                Guard(.ENOENT, "memory has no nonce", outsideEngine: true),
            ]
        case .restore:
            [
                Guard(.ENODEV, "the device is not there", outsideEngine: true),
                Guard(.EINVAL, "its lookup entry is another", outsideEngine: true),
                Guard(.EFAULT, "its root table is not in memory"),
                Guard(.EOPNOTSUPP, "a PASID is in no record", outsideEngine: true),
                Guard(.EINVAL, "its PASIDs are narrower", outsideEngine: true),
                Guard(.EOPNOTSUPP, "its group has grown", outsideEngine: true),
            ]
        case .quarantine: [Guard(.EOPNOTSUPP, "it must not be blocked")]
        case .claim: [Guard(.ENOENT, "no such session"), Guard(.EBUSY, "it came in another session")]
        case .adopt:
            [
                Guard(.ENOENT, "unknown token"), Guard(.ENOENT, "it is adopted"),
                Guard(.EINVAL, "no device of it is claimed"),
            ]
        case .rebuild: [Guard(.EEXIST, "an area is there")]
        case .verify: [Guard(.EBUSY, "it is not adopted"), Guard(.EINVAL, "the trees differ", outsideEngine: true)]
        case .replace: [Guard(.EINVAL, "it is not compared"), Guard(.EBUSY, "it is not adopted")]
        case .release: [Guard(.EOPNOTSUPP, "there is no reset"), Guard(.EINVAL, "nothing is inherited")]
        case .finish: [Guard(.EBUSY, "a device is not settled")]
        case .abandon: [Guard(.EINVAL, "an outgoing session")]
        case .reclaim: [Guard(.EBUSY, "it came in another session")]
        case .discard: [Guard(.EINVAL, "it is claimed"), Guard(.EOPNOTSUPP, "there is no reset")]
        case .nextUpdate: [Guard(.EBUSY, "it is preserved without having been claimed")]
        case .stop: []
        }
    }

    /// The transitions as a Markdown table.
    public static var table: String {
        var lines = ["| transition | from | to | what forbids it |", "|---|---|---|---|"]
        for row in allCases {
            let guards = row.guards.map { "\($0.what) (\($0.errno.name))" }.joined(separator: "; ")
            let from = row.from.map(\.rawValue).joined(separator: ", ")
            lines.append("| \(row.rawValue) | \(from) | \(row.to?.rawValue ?? "–") | \(guards) |")
        }
        return lines.joined(separator: "\n") + "\n"
    }
}
