import CVector
import IOMMUModel

/// One scan, specialised per format.
struct TreeScanner<Format: PageTableFormat, Pages: TablePages, Notes: WordNotes & ~Copyable>: ~Copyable {
    /// All but records and items, which grow in ``records`` and ``items``.
    var tree: TableTree
    private var records = GrowingBuffer<TableTree.Record>()
    private var items = GrowingBuffer<TableTree.Item>()
    let memory: MemoryView
    let rules: EntryRules
    private let pages: Pages
    private var known = PageIndex()
    private var runs = EntryRuns()
    var breaks = EntryBreaks()
    /// Tables that may still be read, pages counted once per level.
    private var pagesLeft: Int
    private var hasReportedPageBudget = false
    var notes: Notes

    init(
        _ stage: TranslationStage, pages: Pages, memory: MemoryView, budget: ScanBudget, notes: consuming Notes
    ) {
        self.notes = notes
        tree = TableTree(configuration: stage.configuration, root: stage.root.pageBase, budget: budget)
        self.memory = memory
        self.pages = pages
        rules = stage.configuration.rules
        // Record numbers are 32 bits.
        pagesLeft = min(budget.pages, Int(Int32.max))
    }

    consuming func scan(_ visit: (ScannedTable) -> Void) -> TableTree {
        addRoot()
        // Records are appended while the loop runs; children come after their parents.
        var next = 0
        while next < records.count {
            read(next, visit)
            next &+= 1
        }
        markLeaves()
        tree.recordBuffer = records.frozen()
        tree.itemBuffer = items.frozen()
        return tree
    }

    private mutating func addRoot() {
        let top = tree.configuration.topLevel
        let kind: TableDefect.Kind
        var value = tree.root.rawValue
        switch find(value) {
        case .page(let page):
            if pagesLeft > 0 {
                addRecord(page: page, level: top, first: 0, entry: .max, samePage: -1)
                return
            }
            tree.isComplete = false
            (kind, value) = (.pageBudgetExceeded(PhysicalAddress(page)), page)
        case .defect(let found): kind = found
        }
        report(kind, entry: nil, value: value, level: top, first: 0, last: rules.lastLinear)
    }

    /// What a table pointer leads to.
    private enum Found {
        /// A page in memory, by its address there.
        case page(UInt64)
        case defect(TableDefect.Kind)
    }

    @inline(__always)
    private func find(_ page: UInt64) -> Found {
        switch pages.host(of: page) {
        case .page(let host):
            memory.words(ofPage: host) == nil ? .defect(.absentPage(PhysicalAddress(host))) : .page(host)
        case .refused(.absent(let host, _)): .defect(.absentPage(host))
        case .refused: .defect(.unmappedGuestTable(PhysicalAddress(page)))
        }
    }

    /// Decodes the 512 words of one table into items. The words are in memory: that was checked when it was added.
    private mutating func read(_ number: Int, _ visit: (ScannedTable) -> Void) {
        let record = records[number]
        guard let words = memory.words(ofPage: record.page) else { return }
        let level = Int(record.level)
        let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        // Entries beyond the input width are never reached; a table that reaches beyond it has only one use.
        let end = Int(truncatingIfNeeded: min(511, (rules.lastLinear &- record.first) &>> shift)) &+ 1
        runs.prepare(Format.self, level: level, rules)
        notes.begin(level: level)
        var search = LeafSearch(
            words: words, end: end, shift: shift, mask: Format.runMask(level: level, rules), isExact: notes.isNoting)
        // All but the address of the last leaf that nothing was wrong with. No word is like the first one: it has the
        // address's bits, or none.
        let pages = rules.addressMask & ~0 &<< shift
        var model: (bits: UInt64, rights: UInt8) = (pages, 0)
        let place = items.reserve(512)
        let expected = notes.expected(page: record.page, level: level)
        var isAsExpected = false
        if !expected.isEmpty {
            switch readExpected(words, expected, of: number, level: level, shift: shift, to: place) {
            case .leaves(let used) where end == 512:
                add(used, to: number)
                visit(
                    ScannedTable(page: record.page, level: level, words: words, ends: notes.ends, isAsExpected: true))
                return
            case .leaves, .mixed: isAsExpected = true
            case .different: break
            }
        }
        var judged = 0
        var used = 0
        var index = 0
        while index < end {
            let word = words[index]
            if word == 0 {
                index = runs.zeros.end(in: words, from: index, to: end)
                notes.append(end: index)
                continue
            }
            let first = index
            if word & ~pages == model.bits {
                readLeaves(&search, from: &index, pages: pages, model, to: place, &used)
                if index > first { continue }
                index = leafEnd(&search, from: index, hasGroups: judged > 0)
                place[used] = .leaves(word & pages, index: first, count: index &- first, rights: model.rights)
                used &+= 1
                continue
            }
            let kind = Format.kind(word, level: level, rules)
            let lints = Format.lints(word, kind, level: level, rules)
                .union(Format.placeLints(word, kind, level: level, index: index))
            let rights = Format.rights(word) | Format.grantedRights
            switch kind {
            case .leaf:
                let log2 = Format.leafSizeLog2(word, level: level, rules)
                let address = Format.leafAddress(word, level: level, rules)
                if Format.hasContiguousLeaves, log2 != shift {
                    notes.giveUp()
                    // Damaged ones are judged item by item, as the hardware does.
                    let isWhole: Bool
                    (index, isWhole) = readGroups(words, at: index, to: end, record, log2: log2, judged: &judged)
                    let offset = UInt64(truncatingIfNeeded: first) &<< shift & ((1 &<< log2) &- 1)
                    place[used] =
                        isWhole
                        ? .sizedLeaves(address, sizeLog2: log2, index: first, count: index &- first, rights: rights)
                        : .leaves(address | offset, index: first, count: index &- first, rights: rights)
                } else {
                    index = leafEnd(&search, from: index, hasGroups: judged > 0)
                    place[used] = .leaves(address, index: first, count: index &- first, rights: rights)
                    // The items of a contiguous leaf are judged by their places.
                    if lints.isEmpty, log2 == shift { model = (word & ~pages, rights) }
                }
                used &+= 1
            case .table:
                notes.giveUp()
                if let child = child(word, of: record, index: index) {
                    place[used] = .table(
                        child, index: index, rights: Format.tableRights(word) | Format.grantedRights)
                    used &+= 1
                }
                index &+= 1
            case .notPresent:
                notes.giveUp()
                index &+= 1
            case .invalid(let fault):
                notes.giveUp()
                report(TableDefect.Kind(fault), at: index, of: record, value: word)
                index &+= 1
            }
            // What holds for the first word of a run holds for all of it.
            if !lints.isEmpty {
                for place in first..<index { report(lints, at: place, of: record, value: words[place]) }
            }
        }
        add(used, to: number)
        visit(
            ScannedTable(
                page: record.page, level: level, words: words, ends: notes.ends, isAsExpected: isAsExpected))
    }

    /// Asks for the page of record `number`, if there is one and it is in the largest segment: no processor foresees its
    /// address from those before.
    @inline(__always)
    func fetchPage(_ number: Int) {
        guard number < records.count, memory.isPrimary(records[number].page) else { return }
        domstore_fetch_page(memory.primaryWords(ofPage: records[number].page))
    }

    /// The `used` items that were written ahead are those of record `number`.
    @inline(__always)
    private mutating func add(_ used: Int, to number: Int) {
        records.base[number].firstItem = items.count
        records.base[number].itemCount = UInt16(truncatingIfNeeded: used)
        items.add(used)
    }

    /// The search for the ends of runs of leaves, one slot each, in one table.
    private struct LeafSearch {
        let words: UnsafePointer<UInt64>
        let end: Int
        let shift: UInt64
        /// The bits in which the words of a run agree.
        let mask: UInt64
        /// The runs looked for one by one.
        var count = 0
        /// ``breaks`` are those of this table.
        var hasBreaks = false
        /// Progressions are looked for, which are parts of runs.
        let isExact: Bool
        /// Of ``breaks``.
        var nextBreak = 0

        /// True when the run that begins at `first`, and holds all words before `index`, goes on there.
        @inline(__always)
        func continues(_ index: Int, from first: Int) -> Bool {
            let expected = words[first] &+ UInt64(truncatingIfNeeded: index &- first) &<< shift
            return (words[index] ^ expected) & mask == 0
        }
    }

    /// Writes the runs from `index` on, as long as their words are like `model`, ``breaks`` say where they end, and nothing
    /// else is to be asked: where most of the time goes in tables of many runs.
    @inline(__always)
    private mutating func readLeaves(
        _ search: inout LeafSearch, from index: inout Int, pages: UInt64, _ model: (bits: UInt64, rights: UInt8),
        to place: UnsafeMutablePointer<TableTree.Item>, _ used: inout Int
    ) {
        // A run of larger leaves could step over the C-bit, which is 32 at least.
        guard search.hasBreaks, search.shift <= 21 else { return }
        while breaks[search.nextBreak] <= index { search.nextBreak &+= 1 }
        while index < search.end {
            let word = search.words[index]
            let end = min(breaks[search.nextBreak], search.end)
            let last = word & pages &+ UInt64(truncatingIfNeeded: end &- index &- 1) &<< search.shift
            guard word & ~pages == model.bits, last & ~pages == 0 else { return }
            if search.isExact {
                if end < search.end, search.continues(end, from: index) { return }
                notes.append(end: end)
            }
            place[used] = .leaves(word & pages, index: index, count: end &- index, rights: model.rights)
            used &+= 1
            search.nextBreak &+= 1
            index = end
        }
    }

    /// Where the run that begins at `first` ends. The table has leaves of several slots if `hasGroups`.
    @inline(__always)
    private mutating func leafEnd(_ search: inout LeafSearch, from first: Int, hasGroups: Bool) -> Int {
        // So many are looked for one by one: a table may be a single one, or of leaves in several slots.
        let alone = Format.hasContiguousLeaves ? 2 : 1
        if search.count == alone, !search.hasBreaks, !hasGroups {
            breaks.find(in: search.words, mask: search.isExact ? ~0 : search.mask, size: 1 &<< search.shift)
            search.hasBreaks = true
        }
        var end = first
        repeat {
            if search.hasBreaks {
                while breaks[search.nextBreak] <= end { search.nextBreak &+= 1 }
                end = min(breaks[search.nextBreak], search.end)
            } else {
                let run = search.isExact ? runs.progression : runs.leaves
                end = run.end(in: search.words, from: end, to: search.end, canHaveGroups: false)
                if search.count < alone { search.count &+= 1 }
            }
            notes.append(end: end)
            // A progression ends where a bit changes that the run does not ask for.
        } while search.isExact && end < search.end && search.continues(end, from: first)
        // An address that grew past the last legal one turned into reserved bits.
        let address = search.words[first] & rules.addressMask
        let legal = (rules.lastAddress(from: address) &- address) &>> search.shift &+ 1
        if UInt64(truncatingIfNeeded: end &- first) > legal {
            end = first &+ Int(legal)
            search.nextBreak = 0
        }
        return end
    }

    /// Reads on from an item, at `index`, of a contiguous leaf of `2^log2` bytes: where those end that translate like it,
    /// and whether they are whole leaves, this one and such as continue it. Items below `judged` are of leaves whose items
    /// were compared already.
    private mutating func readGroups(
        _ words: UnsafePointer<UInt64>, at index: Int, to end: Int, _ record: TableTree.Record, log2: UInt64,
        judged: inout Int
    ) -> (end: Int, isWhole: Bool) {
        let word = words[index]
        let level = Int(record.level)
        let slots = LeafItems.slots(of: Format.self, word, at: index, level: level, rules)
        if index >= judged || index == slots.lowerBound {
            let slotsLog2 = UInt64(truncatingIfNeeded: slots.count.trailingZeroBitCount)
            let alike =
                LeafItems.areAlike(Format.self, words[slots.lowerBound], word)
                ? runs.leaves(slotsLog2: slotsLog2).end(in: words, from: slots.lowerBound, to: end) : slots.lowerBound
            if index == slots.lowerBound, alike >= slots.upperBound {
                // An address must not grow past the last legal one, nor into the C-bit.
                let address = Format.leafAddress(word, level: level, rules)
                let legal = (rules.lastAddress(from: address) &- address) &>> log2 &+ 1
                let whole = min(UInt64(truncatingIfNeeded: alike &- index) &>> slotsLog2, legal)
                let wholeEnd = index &+ Int(truncatingIfNeeded: whole &<< slotsLog2)
                judged = max(judged, wholeEnd)
                return (wholeEnd, true)
            }
            if alike < min(slots.upperBound, end), index >= judged {
                report(
                    .contiguousDiffers(pageSizeLog2: Int(log2)), at: alike, of: record, value: words[alike])
            }
            judged = max(judged, slots.upperBound)
        }
        return (runs.alike.end(in: words, from: index, to: min(slots.upperBound, end)), false)
    }

    /// The record that the table entry `word` leads to; `nil` (and a defect) when it was not read.
    private mutating func child(_ word: UInt64, of parent: TableTree.Record, index: Int) -> Int32? {
        let page: UInt64
        switch find(Format.tableAddress(word, rules)) {
        case .page(let host): page = host
        case .defect(let kind):
            report(kind, at: index, of: parent, value: word)
            return nil
        }
        let level = Format.nextLevel(word, level: Int(parent.level))
        let entry = parent.page | UInt64(index) &<< 3
        let latest = known.find(page, in: records.base)
        if let latest {
            // One record for each level that the page is used at.
            var same = latest
            while same >= 0, Int(records[Int(same)].level) != level { same = records[Int(same)].samePage }
            // This very entry, met again in a table that is used at several levels.
            if same >= 0, records[Int(same)].entry == entry { return same }
            report(.reused(PhysicalAddress(page)), at: index, of: parent, value: word)
            if same >= 0 {
                // A hostile tree may be nothing else.
                guard tree.laterUses.count < tree.budget.runs else {
                    tree.isComplete = false
                    return same
                }
                tree.laterUses.append(.init(record: same, entry: entry))
                return same
            }
        }
        guard pagesLeft > 0 else {
            if !hasReportedPageBudget {
                hasReportedPageBudget = true
                report(.pageBudgetExceeded(PhysicalAddress(page)), at: index, of: parent, value: word)
            }
            tree.isComplete = false
            return nil
        }
        let first = parent.first | UInt64(index) &<< UInt64(12 + 9 * Int(parent.level))
        return addRecord(page: page, level: level, first: first, entry: entry, samePage: latest ?? -1)
    }

    @discardableResult
    private mutating func addRecord(page: UInt64, level: Int, first: UInt64, entry: UInt64, samePage: Int32) -> Int32 {
        let number = Int32(truncatingIfNeeded: records.count)
        if Format.hasNextLevel, number > 0, Int(records[Int(number) &- 1].level) < level { tree.isOrdered = false }
        records.append(
            .init(
                page: page, first: first, entry: entry, firstItem: 0, samePage: samePage, itemCount: 0,
                level: Int8(truncatingIfNeeded: level), hasLeaf: false))
        known.set(page, number, in: records.base)
        pagesLeft -= 1
        return number
    }

    /// Marks the tables that have a leaf in or below them, so that an enumeration never descends in vain.
    private mutating func markLeaves() {
        if tree.isOrdered {
            for number in (0..<records.count).reversed() { markLeaf(number) }
            return
        }
        // A table met early, further down, may belong to one that was met later: the levels decide, not the order.
        for level in 0...tree.configuration.topLevel {
            for number in 0..<records.count where Int(records[number].level) == level { markLeaf(number) }
        }
    }

    /// Of a table whose children are marked.
    @inline(__always)
    private func markLeaf(_ number: Int) {
        let record = records[number]
        let first = items.base + record.firstItem
        records.base[number].hasLeaf =
            record.level == 0
            ? record.itemCount > 0
            : UnsafeBufferPointer(start: first, count: Int(record.itemCount)).contains {
                !$0.isTable || records[$0.record].hasLeaf
            }
    }
}
