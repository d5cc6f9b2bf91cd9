import Engine
import IOMMUModel
import PageTables

/// What a dead engine had announced before it switched a device to new tables: read from the open generation it left.
///
/// The announcement is durable before the switch, so a lookup entry in memory that differs from the sealed record is
/// either the announced one, or damage.
public struct ReplaceEvidence: Sendable, Hashable {
    /// Where requests were about to go.
    struct Target: Sendable, Hashable {
        var geometry: RestoringEngine.Geometry
        var cacheTag: UInt32
    }

    /// The name of the event that announces a switch.
    static let eventName = "replacing"

    private var targets: [AttachmentKey: [Target]] = [:]

    /// No announcement: every entry that differs is damage.
    public init() {}

    /// Reads the announcements out of a journal; anything malformed is no evidence.
    public init(_ events: [Event]) {
        for event in events where event.kind == .phase && event.name == Self.eventName {
            guard let requester = event["device"].flatMap({ RequesterID($0) }),
                let format = event["format"].flatMap({ PageTableFormatKind(rawValue: $0) }),
                let root = event["root"].flatMap({ parseInteger($0) }),
                let level = event["level"].flatMap({ UInt8($0) }), let bits = event["bits"].flatMap({ UInt8($0) }),
                let tag = event["tag"].flatMap({ UInt32($0) })
            else { continue }
            var pasid: PASID?
            if let text = event["pasid"] {
                guard let value = parseInteger(text).flatMap({ UInt32(exactly: $0) }).flatMap({ PASID($0) }) else {
                    continue
                }
                pasid = value
            }
            targets[AttachmentKey(requester, pasid), default: []].append(
                Target(
                    geometry: .init(
                        format: format, root: PhysicalAddress(root), topLevel: level, addressBits: bits,
                        signExtended: event["signed"] == "1"), cacheTag: tag))
        }
    }

    /// The arguments of the event that announces the switch of `key` to `table` under `tag`.
    static func arguments(_ key: AttachmentKey, table: PageTable, tag: UInt32) -> [Event.Argument] {
        let shape = table.configuration
        var arguments: [Event.Argument] = [.init("device", key.requester)]
        if let pasid = key.pasid { arguments.append(.init("pasid", pasid)) }
        arguments += [
            .init("format", shape.format.rawValue), .init("root", table.root), .init("level", shape.topLevel),
            .init("bits", shape.addressBits), .init("tag", tag),
        ]
        if shape.signExtended { arguments.append(.init("signed", "1")) }
        return arguments
    }

    /// True when something was announced for the requests of `key`.
    func speaks(of key: AttachmentKey) -> Bool { targets[key] != nil }

    /// The announced target of `key` with this root of the host's tables, and this tag.
    func target(of key: AttachmentKey, root: PhysicalAddress, tag: UInt32) -> Target? {
        targets[key]?.last { $0.geometry.root == root && $0.cacheTag == tag }
    }
}
