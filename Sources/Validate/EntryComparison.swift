import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// One attachment against the lookup entry that the hardware reads for it: kind, roots, levels, cache key.
struct EntryComparison {
    let attachment: AttachmentRecord
    let domain: DomainRecord
    let context: RequestContext
    let words: EntryWords
    let hardware: IOMMUHardware
    let index: SnapshotIndex
    let unit: UnitID

    /// Calls `report` with the word at fault and what is wrong.
    func check(_ report: (PhysicalAddress, String) -> Void) {
        let name = words.name
        switch (domain.kind, context.path) {
        case (.blocked, _):
            report(words.root, "the \(name) is present, the device is attached to a blocked domain")
            return
        case (.identity, .passThrough): break
        case (.identity, .single(let stage)), (.identity, .nested(let stage, _)):
            report(words.root, "the \(name) translates through \(stage.root), domain \(domain.id) passes through")
        case (.paging, .passThrough), (.nested, .passThrough):
            report(words.root, "the \(name) passes through, domain \(domain.id) has page tables")
        case (.paging, .single(let stage)): compare(stage, domain.id, words.root, report)
        case (.paging, .nested):
            report(words.root, "the \(name) translates in two stages, domain \(domain.id) has one")
        case (.nested, .single):
            report(words.root, "the \(name) translates in one stage, domain \(domain.id) has two")
        case (.nested, .nested(let first, let second)):
            compare(first, domain.id, words.root, report)
            if let parent = domain.parent { compare(second, parent, words.hostRoot, report) }
        }
        guard context.cacheTag != attachment.cacheTag || context.cachePASID != attachment.cachePASID else { return }
        let found = Self.key(context.cacheTag, context.cachePASID)
        report(
            words.tag,
            "the \(name)'s \(EntryWords.tagName(hardware)) is \(found), the recorded cache tag is "
                + Self.key(attachment.cacheTag, attachment.cachePASID))
    }

    /// One stage against the recorded tables of `owner`.
    private func compare(
        _ stage: TranslationStage, _ owner: DomainID, _ place: PhysicalAddress,
        _ report: (PhysicalAddress, String) -> Void
    ) {
        guard let tables = index.geometry(of: owner, on: unit)?.tables else { return }
        let name = words.name
        if stage.root != tables.root {
            report(place, "the \(name)'s root is \(stage.root), domain \(owner) has \(tables.root)")
        }
        let format = stage.configuration.format
        let levels = words.levels(format)
        if format != tables.format {
            report(
                place, "the \(name)'s tables are \(format.rawValue), those of domain \(owner) \(tables.format.rawValue)"
            )
        } else if stage.configuration.topLevel != Int(tables.topLevel) {
            report(
                levels,
                "the \(name)'s top level is \(stage.configuration.topLevel), domain \(owner) has \(tables.topLevel)")
        }
    }

    private static func key(_ tag: UInt32?, _ pasid: PASID?) -> String {
        (tag.map { "\($0)" } ?? "none") + (pasid.map { " with PASID \($0)" } ?? "")
    }
}
