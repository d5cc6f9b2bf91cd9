import IOMMUModel
import Snapshot

/// The requests that go through each object of one state, in their order.
struct RequestPlaces {
    private(set) var ofDomain: [DomainID: [Difference.Request]] = [:]
    private(set) var ofHWPT: [HWPTID: [Difference.Request]] = [:]
    private(set) var ofIOAS: [IOASID: [Difference.Request]] = [:]

    /// O(records). Requests through a guest's tables go through the host's, too.
    init(_ snapshot: Snapshot) {
        let parents = Dictionary(snapshot.domains.map { ($0.id, $0.parent) }) { first, _ in first }
        for attachment in snapshot.attachments {
            let request = Difference.Request(attachment.requester, attachment.pasid)
            ofDomain[attachment.domain, default: []].append(request)
            if let parent = parents[attachment.domain] ?? nil { ofDomain[parent, default: []].append(request) }
        }
        for hwpt in snapshot.hwpts {
            guard let requests = ofDomain[hwpt.domain] else { continue }
            ofHWPT[hwpt.id] = requests
            ofIOAS[hwpt.ioas, default: []] += requests
        }
        ofIOAS = ofIOAS.mapValues { Set($0).sorted() }
    }
}
