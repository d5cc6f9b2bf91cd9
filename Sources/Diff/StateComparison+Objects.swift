import IOMMUModel
import Snapshot

/// Domains with their HWPTs, address spaces and areas.
extension StateComparison {
    /// `moved`: requests of which some IOVA leads elsewhere now.
    func objectDifferences(_ moved: Set<Difference.Request>) -> [Difference] {
        domainDifferences(moved) + spaceDifferences()
    }

    private func domainDifferences(_ moved: Set<Difference.Request>) -> [Difference] {
        var result: [Difference] = []
        for pair in pairs.pairs {
            let (one, other) = (facts(pair.before, oldIndex), facts(pair.after, newIndex))
            guard pair.isSame else {
                var difference = Difference(
                    subject: .attachment, change: .changed, requests: pair.requests,
                    what: "moved from domain \(pair.before.id) to domain \(pair.after.id)")
                difference.before = FieldComparison<DomainRecord>.text(one)
                difference.after = FieldComparison<DomainRecord>.text(other)
                result.append(difference)
                continue
            }
            var fields = zip(one, other).filter { $0.value != $1.value }.map { ($0, $1) }
            guard !fields.isEmpty else { continue }
            let isRebuilt = fields.contains { $0.0.name == "root" && $0.0.value != "-" && $0.1.value != "-" }
            var what = "domain \(pair.before.id) has changed"
            if isRebuilt {
                let pages = (oldIndex.pages(pair.before.id).count, newIndex.pages(pair.after.id).count)
                let alike = pair.requests.allSatisfy { !moved.contains($0) }
                what =
                    "domain \(pair.before.id) has other tables (\(pages.0) pages, now \(pages.1)), "
                    + (alike ? "the same translations" : "other translations")
                let leaves = (leaves(pair.before.id, oldIndex, old), leaves(pair.after.id, newIndex, new))
                if leaves.0 != leaves.1 { fields.append((("leaves", leaves.0), ("leaves", leaves.1))) }
            }
            var difference = Difference(subject: .domain, change: .changed, requests: pair.requests, what: what)
            difference.before = FieldComparison<DomainRecord>.text(fields.map(\.0))
            difference.after = FieldComparison<DomainRecord>.text(fields.map(\.1))
            result.append(difference)
        }
        let alone = FieldComparison<DomainRecord>(
            subject: .domain, name: { "domain \($0.id)" }, fields: { [("kind", $0.kind.rawValue)] },
            place: { $1.requests = index($1).requestsOfDomain[$0.id] ?? [] })
        return result + alone.differences(gone: pairs.gone, new: pairs.new)
    }

    /// The state that a difference's record is of.
    private func index(_ difference: Difference) -> StateIndex {
        difference.change == .new ? newIndex : oldIndex
    }

    private func facts(_ domain: DomainRecord, _ index: StateIndex) -> [(name: String, value: String)] {
        let tables = (index.tables[domain.id] ?? []).map(\.tables)
        /// Of all units, said once where they agree.
        func text(_ value: (DomainUnitRecord.Geometry) -> String) -> String {
            let values = tables.map(value)
            return Set(values).count <= 1 ? values.first ?? "-" : values.joined(separator: ",")
        }
        return [
            ("kind", domain.kind.rawValue), ("holder", domain.holder.rawValue), ("preserved", "\(domain.preserved)"),
            ("format", text(\.format.rawValue)), ("root", text { "\($0.root)" }),
            ("top_level", text { "\($0.topLevel)" }), ("bits", text { "\($0.addressBits)" }),
            ("sign_extended", text { "\($0.signExtended)" }),
            ("updated_bits", text { hex($0.hardwareUpdatedMask) }),
        ]
    }

    private func spaceDifferences() -> [Difference] {
        // An image has no tokens: those of its record are the importer's.
        let hasTokens = before.origin == .engine && after.origin == .engine
        let hwpts = FieldComparison<HWPTRecord>(
            subject: .hwpt, name: { "HWPT \($0.id)" },
            fields: { hasTokens ? [("token", $0.token.map { "\($0)" } ?? "-")] : [] },
            place: { $1.requests = index($1).requestsOfHWPT[$0.id] ?? [] })
        let ioases = FieldComparison<IOASRecord>(
            subject: .ioas, name: { "IOAS \($0.id)" },
            fields: { [("areas", $0.areaOrigin.rawValue), ("immutable", "\($0.isImmutable)")] },
            place: { $1.requests = index($1).requestsOfIOAS[$0.id] ?? [] })
        return hwpts.differences(before.hwpts, after.hwpts, paired: pairs.hwpts, id: \.id)
            + ioases.differences(before.ioases, after.ioases, paired: pairs.ioases, id: \.id) + areaDifferences()
    }

    /// Areas that were declared. Those read off the tables say what the mappings say.
    private func areaDifferences() -> [Difference] {
        let declared = [before, after].map { Set($0.ioases.lazy.filter { $0.areaOrigin == .declared }.map(\.id)) }
        let old = Dictionary(grouping: before.areas, by: \.ioas)
        let new = Dictionary(grouping: after.areas, by: \.ioas)
        let bases = Dictionary(before.backings.map { ($0.id, $0) }) { first, _ in first }
        let others = Dictionary(after.backings.map { ($0.id, $0) }) { first, _ in first }
        var result: [Difference] = []
        for (one, other) in pairs.ioases.sorted(by: { $0.key < $1.key })
        where declared[0].contains(one) && declared[1].contains(other) {
            let areas = FieldComparison<Area>(
                subject: .area, name: { "area \($0.record.range)" },
                fields: {
                    [
                        ("last", "\($0.record.range.last)"), ("pa", $0.physical.map { "\($0)" } ?? "-"),
                        ("protection", $0.record.protection.description), ("flags", "\($0.record.flags)"),
                    ]
                },
                place: {
                    $1.range = $0.record.range
                    $1.requests = oldIndex.requestsOfIOAS[one] ?? []
                })
            result += areas.differences(
                (old[one] ?? []).map { Area(record: $0, backing: bases[$0.backing]) },
                (new[other] ?? []).map { Area(record: $0, backing: others[$0.backing]) }, by: \.record.range.first)
        }
        return result
    }

    /// An area and where its memory is.
    private struct Area {
        var record: AreaRecord
        var physical: PhysicalAddress?

        init(record: AreaRecord, backing: BackingRecord?) {
            self.record = record
            physical = backing?.base.offset(by: record.offset)
        }
    }
}

extension FieldComparison {
    /// Records whose ids mean something inside one state only; `paired` says which is which.
    fileprivate func differences<ID: Hashable>(
        _ before: [Record], _ after: [Record], paired: [ID: ID], id: (Record) -> ID
    ) -> [Difference] {
        let others = Dictionary(after.map { (id($0), $0) }) { first, _ in first }
        let known = Set(paired.values)
        return differences(
            pairs: before.compactMap { one in paired[id(one)].flatMap { others[$0] }.map { (one, $0) } },
            gone: before.filter { paired[id($0)] == nil }, new: after.filter { !known.contains(id($0)) })
    }
}
