import IOMMUModel

extension Walker {
    /// Decodes the whole tree below the root table at `root` (its low 12 bits do not count).
    ///
    /// Level by level from the top; each (page, level) once, however many entries point to it. Never fails: what is wrong
    /// is in ``TableTree/defects``. Time and memory are linear in the distinct table pages, bounded by `budget`.
    public static func scan(
        _ configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView,
        budget: ScanBudget = ScanBudget()
    ) -> TableTree {
        switch configuration.format {
        case .vtdSecondStage:
            var scanner = TreeScanner<VTDSecondStage>(configuration, root: root, memory: memory, budget: budget)
            return scanner.scan()
        }
    }
}

/// One scan, specialised per format.
private struct TreeScanner<Format: PageTableFormat> {
    private var tree: TableTree
    private let memory: MemoryView
    private let rules: EntryRules
    private let lastIOVA: UInt64
    private let pages = PageIndex()
    /// Tables that may still be read, pages counted once per level.
    private var pagesLeft: Int
    private var hasReportedPageBudget = false

    init(_ configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView, budget: ScanBudget) {
        tree = TableTree(configuration: configuration, root: root.pageBase, budget: budget)
        self.memory = memory
        rules = configuration.rules
        lastIOVA = configuration.lastIOVA.rawValue
        // Record numbers are 32 bits.
        pagesLeft = min(budget.pages, Int(Int32.max))
    }

    mutating func scan() -> TableTree {
        let root = tree.root.rawValue
        let top = tree.configuration.topLevel
        let all = IOVARange(first: IOVA(0), last: IOVA(lastIOVA))!
        if memory.words(ofPage: root) == nil {
            report(.absentPage(tree.root), entry: nil, value: root, level: top, range: all)
        } else if pagesLeft < 1 {
            tree.isComplete = false
            report(.pageBudgetExceeded(tree.root), entry: nil, value: root, level: top, range: all)
        } else {
            addRecord(page: root, level: top, firstIOVA: 0, entry: .max, samePage: -1)
        }
        withUnsafeTemporaryAllocation(of: TableTree.Item.self, capacity: 512) { scratch in
            // Records are appended while the loop runs; children come after their parents.
            var next = 0
            while next < tree.records.count {
                read(next, scratch.baseAddress!)
                next &+= 1
            }
        }
        markLeaves()
        return tree
    }

    /// Decodes the 512 words of one table into items. The words are in memory: that was checked when it was added.
    private mutating func read(_ number: Int, _ scratch: UnsafeMutablePointer<TableTree.Item>) {
        let record = tree.records[number]
        guard let words = memory.words(ofPage: record.page) else { return }
        let level = Int(record.level)
        let shift = UInt64(truncatingIfNeeded: 12 &+ 9 &* level)
        // Entries beyond the input width are never reached; a table that reaches beyond it has only one use.
        let end = Int(truncatingIfNeeded: min(511, (lastIOVA &- record.firstIOVA) &>> shift)) &+ 1
        let runMask = Format.runMask(level: level, rules)
        let size: UInt64 = 1 &<< shift
        var used = 0
        var index = 0
        while index < end {
            let word = words[index]
            if word == 0 {
                index &+= 1
                continue
            }
            switch Format.kind(word, level: level, rules) {
            case .leaf:
                let first = index
                let address = Format.leafAddress(word, level: level, rules)
                index = endOfRun(
                    words, from: index &+ 1, to: end, mask: runMask, expected: (word & runMask) &+ size, size: size)
                // An address that grew past the last legal one turned into reserved bits.
                let legal = (rules.addressMask &- address) &>> shift &+ 1
                if UInt64(truncatingIfNeeded: index &- first) > legal { index = first &+ Int(legal) }
                scratch[used] = .init(
                    value: address, index: UInt16(truncatingIfNeeded: first),
                    count: UInt16(truncatingIfNeeded: index &- first), rights: Format.rights(word), isTable: false)
                used &+= 1
            case .table:
                if let child = child(word, of: record, index: index) {
                    scratch[used] = .init(
                        value: UInt64(child), index: UInt16(truncatingIfNeeded: index), count: 1,
                        rights: Format.rights(word), isTable: true)
                    used &+= 1
                }
                index &+= 1
            case .notPresent:
                report(.nonZeroNotPresent, at: index, of: record, value: word)
                index &+= 1
            case .reserved:
                report(.reservedBits, at: index, of: record, value: word)
                index &+= 1
            }
        }
        tree.records[number].firstItem = tree.items.count
        tree.records[number].itemCount = Int32(truncatingIfNeeded: used)
        tree.items.append(contentsOf: UnsafeBufferPointer(start: scratch, count: used))
    }

    /// Where the words from `from` on, under `mask`, stop being `expected`, `expected + size`, and so on; at most `to`.
    ///
    /// Eight words at a time without a branch between them: fewer branches bring the scan near the speed of memory.
    @inline(__always)
    private func endOfRun(
        _ words: UnsafePointer<UInt64>, from: Int, to: Int, mask: UInt64, expected: UInt64, size: UInt64
    ) -> Int {
        var index = from
        var expected = expected
        while index &+ 8 <= to {
            var differ: UInt64 = 0
            for offset in 0..<8 {
                differ |= (words[index &+ offset] & mask) ^ (expected &+ UInt64(truncatingIfNeeded: offset) &* size)
            }
            if differ != 0 { break }
            expected &+= 8 &* size
            index &+= 8
        }
        while index < to, words[index] & mask == expected {
            expected &+= size
            index &+= 1
        }
        return index
    }

    /// The record that the table entry `word` leads to; `nil` (and a defect) when it was not read.
    private mutating func child(_ word: UInt64, of parent: TableTree.Record, index: Int) -> Int32? {
        let page = Format.tableAddress(word, rules)
        let level = Int(parent.level) - 1
        let entry = parent.page | UInt64(index) &<< 3
        let known = pages.find(page)
        if let known {
            report(.reused(PhysicalAddress(page)), at: index, of: parent, value: word)
            // Levels only fall, so the page's last record has the lowest level of all.
            if Int(tree.records[Int(known)].level) == level {
                tree.laterUses.append(.init(record: known, entry: entry))
                return known
            }
        } else if memory.words(ofPage: page) == nil {
            report(.absentPage(PhysicalAddress(page)), at: index, of: parent, value: word)
            return nil
        }
        guard pagesLeft > 0 else {
            if !hasReportedPageBudget {
                hasReportedPageBudget = true
                report(.pageBudgetExceeded(PhysicalAddress(page)), at: index, of: parent, value: word)
            }
            tree.isComplete = false
            return nil
        }
        return addRecord(
            page: page, level: level, firstIOVA: firstIOVA(index, of: parent), entry: entry, samePage: known ?? -1)
    }

    @discardableResult
    private mutating func addRecord(page: UInt64, level: Int, firstIOVA: UInt64, entry: UInt64, samePage: Int32)
        -> Int32
    {
        let number = Int32(tree.records.count)
        tree.records.append(
            .init(
                page: page, firstIOVA: firstIOVA, entry: entry, firstItem: 0, itemCount: 0, level: Int8(level),
                hasLeaf: false, samePage: samePage))
        pages.set(page, number)
        pagesLeft -= 1
        return number
    }

    private func firstIOVA(_ index: Int, of record: TableTree.Record) -> UInt64 {
        record.firstIOVA | UInt64(index) &<< UInt64(12 + 9 * Int(record.level))
    }

    private mutating func report(_ kind: TableDefect.Kind, at index: Int, of record: TableTree.Record, value: UInt64) {
        let first = firstIOVA(index, of: record)
        let last = min(lastIOVA, first | ((1 &<< UInt64(12 + 9 * Int(record.level))) &- 1))
        report(
            kind, entry: record.page | UInt64(index) &<< 3, value: value, level: Int(record.level),
            range: IOVARange(first: IOVA(first), last: IOVA(last))!)
    }

    private mutating func report(
        _ kind: TableDefect.Kind, entry: UInt64?, value: UInt64, level: Int, range: IOVARange
    ) {
        guard tree.defects.count <= tree.budget.defects else { return }
        let spent = tree.defects.count == tree.budget.defects
        if spent { tree.isComplete = false }
        tree.defects.append(
            TableDefect(
                kind: spent ? .defectBudgetExceeded : kind, entryAddress: entry.map { PhysicalAddress($0) },
                value: value,
                level: level, range: range))
    }

    /// Marks the tables that have a leaf in or below them, so that an enumeration never descends in vain.
    private mutating func markLeaves() {
        for number in tree.records.indices.reversed() {
            let record = tree.records[number]
            let items = tree.items[record.firstItem..<record.firstItem + Int(record.itemCount)]
            tree.records[number].hasLeaf =
                record.level == 0
                ? !items.isEmpty : items.contains { !$0.isTable || tree.records[Int($0.value)].hasLeaf }
        }
    }
}
