import IOMMUModel

/// How a walk comes from a page that a table entry names to memory.
protocol TablePages {
    /// Where `page` (4 KiB aligned) is in the host's memory.
    func host(of page: UInt64) -> HostPage
}

/// An answer of ``TablePages``.
enum HostPage {
    /// It is here, if it is in memory at all.
    case page(UInt64)
    /// The second stage does not let the hardware read it, or its own tables are not all in memory.
    case refused(TranslationResult)
}

/// The tables of a single stage: pages are named as they are.
struct HostPages: TablePages {
    @inline(__always)
    func host(of page: UInt64) -> HostPage { .page(page) }
}

/// Where a walk is.
struct WalkPlace {
    var level: Int
    /// The entry's address in the host's memory.
    var entry: UInt64
    /// The same as the guest names it; equal to ``entry`` when there is one stage.
    var guestEntry: UInt64
}

/// Where a walk ends.
enum WalkEnd {
    /// In an entry that is not a table. The rights are those of the levels above.
    case word(UInt64, WalkPlace, rights: UInt8)
    /// Before one was reached; `guest` is what the guest calls the entry at fault, or the table that is not in memory.
    case result(TranslationResult, guest: UInt64?)
    /// At a table that the second stage refuses, which the guest has at `page`.
    case refused(TranslationResult, page: UInt64)
}

extension FormatWalker {
    /// Any walk, up to the entry that it ends in. Nothing is written.
    static func find<Pages: TablePages>(
        _ configuration: PageTableConfiguration, root: UInt64, pages: Pages, memory: MemoryView, iova: UInt64
    ) -> WalkEnd {
        let rules = configuration.rules
        guard rules.contains(iova) else {
            return .result(.fault(rules.rangeFault, level: nil, entryAddress: nil), guest: nil)
        }
        var table = root
        var level = configuration.topLevel
        var rights = Format.rootRights(rules)
        while true {
            let host: UInt64
            switch pages.host(of: table) {
            case .page(let page): host = page
            case .refused(let result): return .refused(result, page: table)
            }
            guard let words = memory.words(ofPage: host) else {
                return .result(.absent(page: PhysicalAddress(host), level: level), guest: table)
            }
            let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
            let index = iova &>> shift & 511
            let word = words[Int(truncatingIfNeeded: index)]
            guard case .table = Format.kind(word, level: level, rules) else {
                let place = WalkPlace(level: level, entry: host | index &<< 3, guestEntry: table | index &<< 3)
                return .word(word, place, rights: rights)
            }
            let next = Format.nextLevel(word, level: level)
            if Format.hasNextLevel, iova & EntryRules.skippedBits(from: level, to: next) != 0 {
                return .result(
                    .fault(.skippedLevelBits, level: level, entryAddress: PhysicalAddress(host | index &<< 3)),
                    guest: table | index &<< 3)
            }
            rights &= Format.tableRights(word)
            table = Format.tableAddress(word, rules)
            level = next
        }
    }
}
