import IOMMUModel
import Snapshot

/// What of one state is asked for by id: requests through each object, places and pages of each domain.
struct StateIndex {
    /// In the order of the requests. Those through a guest's tables go through the host's, too.
    private(set) var requestsOfDomain: [DomainID: [Difference.Request]] = [:]
    private(set) var requestsOfHWPT: [HWPTID: [Difference.Request]] = [:]
    private(set) var requestsOfIOAS: [IOASID: [Difference.Request]] = [:]
    /// By unit, those with tables only.
    private(set) var tables: [DomainID: [(unit: UnitID, tables: DomainUnitRecord.Geometry)]] = [:]
    private var pagesOfDomain: [DomainID: PageSet] = [:]

    /// O(records).
    init(_ snapshot: Snapshot) {
        let parents = Dictionary(snapshot.domains.map { ($0.id, $0.parent) }) { first, _ in first }
        for attachment in snapshot.attachments {
            requestsOfDomain[attachment.domain, default: []].append(attachment.key)
            if let parent = parents[attachment.domain] ?? nil {
                requestsOfDomain[parent, default: []].append(attachment.key)
            }
        }
        for hwpt in snapshot.hwpts {
            guard let requests = requestsOfDomain[hwpt.domain] else { continue }
            requestsOfHWPT[hwpt.id] = requests
            requestsOfIOAS[hwpt.ioas, default: []] += requests
        }
        requestsOfIOAS = requestsOfIOAS.mapValues { Set($0).sorted() }
        for place in snapshot.domainUnits {
            if let geometry = place.tables { tables[place.domain, default: []].append((place.unit, geometry)) }
        }
        for domain in snapshot.tablePages { pagesOfDomain[domain.domain] = domain.pages }
    }

    /// All table pages of a domain.
    func pages(_ domain: DomainID) -> PageSet { pagesOfDomain[domain] ?? PageSet() }
}
