import Hardware
import IOMMUModel
import PageTables
import Snapshot
import Validate

/// Two recorded states of a machine held against each other, in the field's words.
///
/// What has a number of its own only inside one state (domains, address spaces, HWPTs, sessions, backings) is found in the
/// other by what it is for: a domain by the requests that go through it, and its HWPT and address space with it. After a
/// live update userspace has built all trees anew: that is one line for each domain, as long as they translate alike.
///
/// O(records log records, table pages and runs).
public struct StateComparison: Sendable {
    let before: Snapshot
    let after: Snapshot
    let old: RecordedMachine
    let new: RecordedMachine
    let pairs: DomainPairs
    let oldIndex: StateIndex
    let newIndex: StateIndex
    let budget: ScanBudget
    let wordLimit: Int

    /// `budget` bounds the reading of each tree, `wordLimit` the words told of one domain's tables: what they lead to is
    /// told by the mappings anyway.
    ///
    /// - Throws: no memory for the decoded pages.
    public init(
        _ before: Snapshot, _ after: Snapshot, budget: ScanBudget = ScanBudget(), wordLimit: Int = 1000
    ) throws(MemoryError) {
        self.before = before
        self.after = after
        old = try RecordedMachine(before)
        new = try RecordedMachine(after)
        pairs = DomainPairs(before, after)
        oldIndex = StateIndex(before)
        newIndex = StateIndex(after)
        self.budget = budget
        self.wordLimit = wordLimit
    }

    /// What a comparison came to.
    public struct Outcome: Sendable {
        /// By subject, then device, PASID and IOVA.
        public var differences: [Difference]
        /// Requests whose tables are larger than the budget: of their mappings only a part was compared.
        public var unread: [Difference.Request]
    }

    /// Every difference, and what was not read.
    public func compare() -> Outcome {
        let trees = treeDifferences()
        return Outcome(differences: sorted(trees), unread: trees.unread.sorted())
    }

    private func sorted(_ trees: Trees) -> [Difference] {
        let all = recordDifferences() + objectDifferences(trees.moved) + lookupDifferences() + trees.differences
        let order = Dictionary(
            Difference.Subject.allCases.enumerated().map { ($1, $0) }, uniquingKeysWith: { first, _ in first })
        return all.enumerated().sorted { a, b in
            let (x, y) = (a.element, b.element)
            if x.subject != y.subject { return order[x.subject]! < order[y.subject]! }
            if x.requests.first != y.requests.first {
                guard let one = x.requests.first else { return true }
                guard let other = y.requests.first else { return false }
                return one < other
            }
            let (one, other) = (x.range?.first.rawValue ?? 0, y.range?.first.rawValue ?? 0)
            return one != other ? one < other : a.offset < b.offset
        }.map(\.element)
    }
}
