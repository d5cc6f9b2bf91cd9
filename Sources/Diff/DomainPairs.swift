import IOMMUModel
import Snapshot

/// Which domain of one state is which of the other: the one that the same requests go through.
struct DomainPairs {
    /// A domain of each state, and the requests that go through the one before and the other after.
    struct Pair {
        var before: DomainRecord
        var after: DomainRecord
        var requests: [Difference.Request]
        /// Both are one domain. Otherwise its requests moved from the one to the other.
        var isSame = false
    }

    /// In the order of their first requests.
    private(set) var pairs: [Pair] = []
    /// Domains with tables that are none of the other state's, by id.
    private(set) var gone: [DomainRecord] = []
    /// See ``gone``.
    private(set) var new: [DomainRecord] = []
    /// HWPTs and address spaces of the same domains: by the one of the first state, the one of the second.
    private(set) var hwpts: [HWPTID: HWPTID] = [:]
    private(set) var ioases: [IOASID: IOASID] = [:]

    private struct Ids: Hashable {
        var before: DomainID
        var after: DomainID
    }

    init(_ before: Snapshot, _ after: Snapshot) {
        let domains = Dictionary(before.domains.map { ($0.id, $0) }) { first, _ in first }
        let others = Dictionary(after.domains.map { ($0.id, $0) }) { first, _ in first }
        let now = Dictionary(after.attachments.map { ($0.key, $0.domain) }) { first, _ in first }
        var places: [Ids: Int] = [:]
        for attachment in before.attachments {
            guard let after = now[attachment.key], let one = domains[attachment.domain], let other = others[after]
            else { continue }
            let ids = Ids(before: one.id, after: other.id)
            let place = places[ids] ?? pairs.count
            if places.updateValue(place, forKey: ids) == nil {
                pairs.append(Pair(before: one, after: other, requests: []))
            }
            pairs[place].requests.append(attachment.key)
        }
        pairNested(domains, others, &places)
        match()
        let same = pairs.filter(\.isSame)
        let old = Set(same.map(\.before.id))
        let new = Set(same.map(\.after.id))
        gone = before.domains.filter { !old.contains($0.id) && $0.kind.hasTables }
        self.new = after.domains.filter { !new.contains($0.id) && $0.kind.hasTables }
        let hwptsBefore = Dictionary(before.hwpts.map { ($0.domain, $0) }) { first, _ in first }
        let hwptsAfter = Dictionary(after.hwpts.map { ($0.domain, $0) }) { first, _ in first }
        for pair in same {
            guard let one = hwptsBefore[pair.before.id], let other = hwptsAfter[pair.after.id],
                hwpts[one.id] == nil
            else { continue }
            hwpts[one.id] = other.id
            if ioases[one.ioas] == nil { ioases[one.ioas] = other.ioas }
        }
    }

    /// One domain of the one state is one of the other: the one that most of its requests go through, of the same kind.
    private mutating func match() {
        var taken: Set<DomainID> = []
        var takenAfter: Set<DomainID> = []
        let most = pairs.indices.sorted {
            let (one, other) = (pairs[$0].requests.count, pairs[$1].requests.count)
            return one != other ? one > other : $0 < $1
        }
        for index in most where pairs[index].before.kind == pairs[index].after.kind {
            let (one, other) = (pairs[index].before.id, pairs[index].after.id)
            guard !taken.contains(one), !takenAfter.contains(other) else { continue }
            taken.insert(one)
            takenAfter.insert(other)
            pairs[index].isSame = true
        }
    }

    /// The hosts' domains below those of guests: no request is attached to them.
    private mutating func pairNested(
        _ domains: [DomainID: DomainRecord], _ others: [DomainID: DomainRecord], _ places: inout [Ids: Int]
    ) {
        var known: [Int: Set<Difference.Request>] = [:]
        for pair in pairs {
            guard let one = pair.before.parent.flatMap({ domains[$0] }),
                let other = pair.after.parent.flatMap({ others[$0] })
            else { continue }
            let ids = Ids(before: one.id, after: other.id)
            let place = places[ids] ?? pairs.count
            if places.updateValue(place, forKey: ids) == nil {
                pairs.append(Pair(before: one, after: other, requests: []))
            }
            if known[place] == nil { known[place] = Set(pairs[place].requests) }
            pairs[place].requests += pair.requests.filter { known[place]!.insert($0).inserted }
        }
    }
}
