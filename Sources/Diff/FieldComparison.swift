/// Records of one kind from both states, held against each other field by field.
struct FieldComparison<Record> {
    /// What they are told as.
    var subject: Difference.Subject
    /// What the record is called.
    var name: (Record) -> String
    /// What it says, in words, always in the same order.
    var fields: (Record) -> [(name: String, value: String)] = { _ in [] }
    /// Says what else is known of a record.
    var place: (Record, inout Difference) -> Void = { _, _ in }

    /// One difference for each record that one state has alone, and for each pair that is not alike.
    func differences(pairs: [(Record, Record)] = [], gone: [Record] = [], new: [Record] = []) -> [Difference] {
        pairs.compactMap(compare) + gone.map { alone($0, .gone) } + new.map { alone($0, .new) }
    }

    /// The same of records that have a `key` that holds in both states. Of records with one key the first counts.
    /// O(n log n).
    func differences<Key: Hashable & Comparable>(
        _ before: [Record], _ after: [Record], by key: (Record) -> Key
    ) -> [Difference] {
        let old = Dictionary(before.map { (key($0), $0) }) { first, _ in first }
        let new = Dictionary(after.map { (key($0), $0) }) { first, _ in first }
        return Set(old.keys).union(new.keys).sorted().flatMap { key in
            switch (old[key], new[key]) {
            case (let one?, let other?): differences(pairs: [(one, other)])
            case (let one, let other): differences(gone: one.map { [$0] } ?? [], new: other.map { [$0] } ?? [])
            }
        }
    }

    private func compare(_ old: Record, _ new: Record) -> Difference? {
        let pairs = zip(fields(old), fields(new)).filter { $0.value != $1.value }
        guard !pairs.isEmpty else { return nil }
        var difference = Difference(subject: subject, change: .changed, what: "\(name(old)) has changed")
        difference.before = Self.text(pairs.map(\.0))
        difference.after = Self.text(pairs.map(\.1))
        place(old, &difference)
        return difference
    }

    private func alone(_ record: Record, _ change: Difference.Change) -> Difference {
        var difference = Difference(
            subject: subject, change: change, what: "\(name(record)) is \(change.rawValue)")
        let fields = fields(record)
        let text = fields.isEmpty ? nil : Self.text(fields)
        if change == .gone { difference.before = text } else { difference.after = text }
        place(record, &difference)
        return difference
    }

    static func text(_ fields: [(name: String, value: String)]) -> String {
        fields.map { "\($0.name)=\($0.value)" }.joined(separator: " ")
    }
}
