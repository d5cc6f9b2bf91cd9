import Engine
import IOMMUModel
import Snapshot

/// Which session each preserved device is in; recorded by an engine that has had several at once.
///
/// One row of the engine's state, 10 bytes a device, ascending: segment (4 bytes), requester id (2), session (4), all
/// big-endian.
package enum DeviceSessions {
    static let rowName = "sessions"
    private static let recordBytes = 10

    static func bytes(of attachments: some Sequence<Attachment>) -> [UInt8] {
        var bytes: [UInt8] = []
        for attachment in attachments where attachment.pasid == nil && attachment.state == .preserved {
            guard let session = attachment.session else { continue }
            withUnsafeBytes(of: attachment.requester.segment.bigEndian) { bytes += $0 }
            withUnsafeBytes(of: attachment.requester.rid.bigEndian) { bytes += $0 }
            withUnsafeBytes(of: session.rawValue.bigEndian) { bytes += $0 }
        }
        return bytes
    }

    /// Those that a snapshot has; of a device that it does not name, the snapshot's one session.
    package static func read(_ snapshot: Snapshot) -> [RequesterID: SessionID] {
        guard let row = snapshot.engineState.first(where: { $0.name == rowName }),
            row.bytes.count % recordBytes == 0
        else { return [:] }
        var sessions: [RequesterID: SessionID] = [:]
        for start in stride(from: 0, to: row.bytes.count, by: recordBytes) {
            func number(_ range: Range<Int>) -> UInt32 {
                row.bytes[start + range.lowerBound..<start + range.upperBound].reduce(0) { $0 << 8 | UInt32($1) }
            }
            let requester = RequesterID(segment: number(0..<4), rid: UInt16(truncatingIfNeeded: number(4..<6)))
            sessions[requester] = SessionID(number(6..<10))
        }
        return sessions
    }
}
