import Hardware
import IOMMUModel
import PageTables

/// A number of levels that the unit supports but that hardly any other entry has: a VT-d driver builds all the tables
/// of a unit alike, and a walk that begins at the wrong level reads tables as pages without any fault.
///
/// Not for AMD v1, whose trees grow as they need it; there the tables say themselves how many levels they have
/// (``LevelEvidence/statedTopLevel``).
struct WidthRules {
    let unit: RecordedUnit

    /// One entry and the stage whose levels are counted.
    private struct Use {
        var entry: LookupListing.Entry
        var context: RequestContext
        var stage: TranslationStage
    }

    /// The most that the entries of an odd number of levels are, as a share of all.
    private static let rareShare = 4

    func check(into log: inout FindingLog) {
        guard let hardware = unit.hardware, case .vtd = hardware else { return }
        var uses: [PageTableFormatKind: [Use]] = [:]
        for entry in unit.listing?.entries ?? [] {
            guard let context = entry.context else { continue }
            var stages: [TranslationStage] = []
            switch context.path {
            case .passThrough: break
            case .single(let stage): stages = [stage]
            // A guest chooses the levels of its own tables.
            case .nested(_, let second): stages = [second]
            }
            for stage in stages {
                uses[stage.configuration.format, default: []].append(
                    Use(entry: entry, context: context, stage: stage))
            }
        }
        for format in PageTableFormatKind.allCases { check(uses[format, default: []], format, hardware, &log) }
    }

    private func check(
        _ uses: [Use], _ format: PageTableFormatKind, _ hardware: IOMMUHardware, _ log: inout FindingLog
    ) {
        var counts: [Int: Int] = [:]
        for use in uses { counts[use.stage.configuration.topLevel, default: 0] += 1 }
        guard let usual = counts.max(by: { ($0.value, $1.key) < ($1.value, $0.key) }), usual.value * 2 > uses.count
        else { return }
        for use in uses {
            let level = use.stage.configuration.topLevel
            guard level != usual.key, let count = counts[level], count * Self.rareShare <= uses.count else { continue }
            log.add(
                Finding(
                    EntryWords.levelsRule(format, hardware), severity: .warning,
                    device: unit.requester(use.entry.rid), pasid: use.entry.pasid,
                    address: EntryWords(use.context, hardware).levels(format),
                    "\(level + 1) levels of tables, where \(usual.value) of \(uses.count) entries have "
                        + "\(usual.key + 1): if the tables were built with those, the mappings are absurd"))
        }
    }
}
