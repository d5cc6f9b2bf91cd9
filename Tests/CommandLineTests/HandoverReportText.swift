import Foundation
import Testing

/// What `handover --json` and `restore --json` print.
struct HandoverReportText {
    struct Phase {
        var name: String
        var counts: [String: UInt64]
        var notes: [String]
    }

    var phases: [Phase]
    /// `state errno rule` of each device, or device`#`PASID; `-` for what is null.
    var devices: [String: String]
    var verdict: String
    var rule: String?
    var generation: Int?

    init(_ text: String) throws {
        let value = try JSONSerialization.jsonObject(with: Data(text.utf8))
        let object = try #require(value as? [String: Any])
        phases = (object["phases"] as? [[String: Any]] ?? []).map { phase in
            Phase(
                name: phase["phase"] as? String ?? "",
                counts: (phase["counts"] as? [String: Any] ?? [:]).compactMapValues { ($0 as? NSNumber)?.uint64Value },
                notes: phase["notes"] as? [String] ?? [])
        }
        devices = [:]
        for device in object["devices"] as? [[String: Any]] ?? [] {
            let parts = ["state", "errno", "rule"].map { device[$0] as? String ?? "-" }
            let pasid = (device["pasid"] as? String).map { "#" + $0 } ?? ""
            devices[(device["device"] as? String ?? "") + pasid] = parts.joined(separator: " ")
        }
        verdict = object["verdict"] as? String ?? ""
        rule = object["rule"] as? String
        generation = object["generation"] as? Int
    }
}
