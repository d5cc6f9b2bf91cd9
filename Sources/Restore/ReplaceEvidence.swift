import IOMMUModel
import PageTables

/// What a dead engine had announced before it switched a device to new tables: read from the open generation it left.
///
/// The announcement is durable before the switch, so a context entry in memory that differs from the sealed record is
/// either the announced one, or damage.
public struct ReplaceEvidence: Sendable, Hashable {
    /// Where a device's requests were about to go.
    struct Target: Sendable, Hashable {
        var root: PhysicalAddress
        var topLevel: UInt8
        var addressBits: UInt8
        var cacheTag: UInt32
    }

    /// The name of the event that announces a switch.
    static let eventName = "replacing"

    private var targets: [RequesterID: [Target]] = [:]

    /// No announcement: every entry that differs is damage.
    public init() {}

    /// Reads the announcements out of a journal; anything malformed is no evidence.
    public init(_ events: [Event]) {
        for event in events where event.kind == .phase && event.name == Self.eventName {
            guard let requester = event["device"].flatMap({ RequesterID($0) }),
                let root = event["root"].flatMap({ parseInteger($0) }),
                let level = event["level"].flatMap({ UInt8($0) }), let bits = event["bits"].flatMap({ UInt8($0) }),
                let tag = event["tag"].flatMap({ UInt32($0) })
            else { continue }
            targets[requester, default: []].append(
                Target(root: PhysicalAddress(root), topLevel: level, addressBits: bits, cacheTag: tag))
        }
    }

    /// The arguments of the event that announces the switch of `requester` to `table` under `tag`.
    static func arguments(
        _ requester: RequesterID, table: PageTable, tag: UInt32
    ) -> [Event.Argument] {
        [
            .init("device", requester), .init("root", table.root), .init("level", table.configuration.topLevel),
            .init("bits", table.configuration.addressBits), .init("tag", tag),
        ]
    }

    /// The announced target of `requester` with this root and tag.
    func target(of requester: RequesterID, root: PhysicalAddress, tag: UInt32) -> Target? {
        targets[requester]?.last { $0.root == root && $0.cacheTag == tag }
    }
}
