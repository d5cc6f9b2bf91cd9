import IOMMUModel
import SQLite
import Snapshot

/// The runs and words of table pages and lookup pages as rows of SQL: what no view can decode with built-in functions.
///
/// One chunk is open at a time and one page decoded, so that any number of pages takes the same memory. A page that does
/// not decode has no rows; ``GenerationReader/defects()`` names it.
public enum PageRows {
    /// `table_run`, `table_word`, `lookup_run`, `lookup_word`.
    public static var tables: [VirtualTable] { [tableRuns, tableWords, lookupRuns, lookupWords] }

    /// Every run of every table page: `count` words from `slot` on, each `stride` more than the one before.
    public static let tableRuns = VirtualTable(
        name: "table_run", columns: owner("domain", level: "level") + run, estimatedRows: 1 << 22
    ) { Walk(.tableChunk, isWords: false, $0) }

    /// Every word of a table page that is not 0.
    public static let tableWords = VirtualTable(
        name: "table_word", columns: owner("domain", level: "level") + word, estimatedRows: 1 << 26
    ) { Walk(.tableChunk, isWords: true, $0) }

    /// As `table_run`, of lookup pages.
    public static let lookupRuns = VirtualTable(
        name: "lookup_run", columns: owner("unit", level: "kind") + run, estimatedRows: 1 << 20
    ) { Walk(.lookupChunk, isWords: false, $0) }

    /// As `table_word`, of lookup pages.
    public static let lookupWords = VirtualTable(
        name: "lookup_word", columns: owner("unit", level: "kind") + word, estimatedRows: 1 << 22
    ) { Walk(.lookupChunk, isWords: true, $0) }

    private static func owner(_ name: String, level: String) -> [VirtualTable.Column] {
        [
            .init(name, "INTEGER", isKey: true), .init("address", "TEXT", isKey: true),
            .init(level, level == "level" ? "INTEGER" : "TEXT"), .init("slot", "INTEGER"),
        ]
    }

    private static let run: [VirtualTable.Column] = [
        .init("count", "INTEGER"), .init("word", "TEXT"), .init("stride", "INTEGER"),
    ]
    private static let word: [VirtualTable.Column] = [
        .init("entry", "TEXT"), .init("word", "TEXT"), .init("value", "INTEGER"),
    ]

    /// One walk over the pages of one kind.
    private final class Walk: VirtualRows {
        private struct Run {
            var slot: Int
            var first: UInt64
            var stride: UInt64
            var count: Int
        }

        private let table: RecordTable
        private let isWords: Bool
        private let preparer: Preparer
        private var statement: Statement?
        /// Only the page at this address.
        private var address: PhysicalAddress?
        /// The current chunk: what is left of it.
        private var owner: Int64 = 0
        private var page = 0
        private var pages = 0
        private var start = 0
        /// The current page.
        private var entry = PageChunk.Entry(address: PhysicalAddress(0), level: 0, end: 0)
        private var runs: [Run] = []
        private var run = 0
        /// Within the current run, of words.
        private var step = 0
        private(set) var isAtEnd = false

        init(_ table: RecordTable, isWords: Bool, _ preparer: borrowing Preparer) {
            self.table = table
            self.isWords = isWords
            self.preparer = preparer.copy()
            runs.reserveCapacity(PageRuns.wordCount)
        }

        func begin(_ keys: [Int: SQLValue]) throws(SQLiteError) {
            let owner = table == .tableChunk ? "domain" : "unit"
            var conditions: [String] = []
            if case .integer(let number)? = keys[0] { conditions.append("\(owner) = \(number)") }
            address = nil
            if case .text(let text)? = keys[1], let value = Self.parse(text) {
                address = PhysicalAddress(value)
                let page = value >> 12
                conditions.append("first_page <= \(page) AND last_page >= \(page)")
            }
            let filter = conditions.isEmpty ? "" : " WHERE " + conditions.joined(separator: " AND ")
            statement = try preparer.prepare("SELECT \(owner), directory, runs FROM \(table.name)\(filter) ORDER BY id")
            (page, pages, isAtEnd) = (0, 0, false)
            (run, step) = (0, 0)
            runs.removeAll(keepingCapacity: true)
            try settle()
        }

        func next() throws(SQLiteError) {
            step += 1
            if !isWords || step == runs[run].count {
                run += 1
                step = 0
            }
            try settle()
        }

        /// From here to the first row that there is.
        private func settle() throws(SQLiteError) {
            while true {
                while run < runs.count {
                    if !isWords { return }
                    // A word of a progression can be 0, too: it comes to it past the end of 64 bits.
                    while step < runs[run].count {
                        if word != 0 { return }
                        if runs[run].stride == 0 { break }
                        step += 1
                    }
                    run += 1
                    step = 0
                }
                guard try nextPage() else {
                    isAtEnd = true
                    return
                }
            }
        }

        private var word: UInt64 { runs[run].first &+ UInt64(step) &* runs[run].stride }

        /// Decodes the next page that can be decoded and is wanted; false when there is none.
        private func nextPage() throws(SQLiteError) -> Bool {
            runs.removeAll(keepingCapacity: true)
            (run, step) = (0, 0)
            while true {
                while page < pages {
                    defer { page += 1 }
                    if decode(page) { return true }
                }
                guard try nextChunk() else { return false }
            }
        }

        private func nextChunk() throws(SQLiteError) -> Bool {
            guard try statement!.step() else { return false }
            owner = statement!.integer(0)
            pages = statement!.bytes(1).count / PageChunk.directoryBytes
            (page, start) = (0, 0)
            return true
        }

        /// The runs of page `index` of the chunk; false when it is damaged or another one than what is wanted.
        private func decode(_ index: Int) -> Bool {
            let directory = statement!.bytes(1)
            let bytes = statement!.bytes(2)
            guard let base = directory.baseAddress,
                let entry = PageChunk.decode(base + index * PageChunk.directoryBytes)
            else { return false }
            let (from, end) = (start, Int(entry.end))
            guard from <= end, end <= bytes.count else { return false }
            start = end
            if let address, entry.address != address { return false }
            let encoded = UnsafeRawBufferPointer(rebasing: bytes[from..<end])
            do { try PageRuns.validate(encoded) } catch { return false }
            self.entry = entry
            PageRuns.forEachRun(encoded) { slot, first, stride, count in
                runs.append(Run(slot: slot, first: first, stride: stride, count: count))
            }
            return true
        }

        func value(_ index: Int) -> SQLValue {
            let run = runs[run]
            let slot = run.slot + step
            switch index {
            case 0: return .integer(owner)
            case 1: return .text(entry.address.description)
            case 2:
                return table == .tableChunk ? .integer(Int64(entry.level)) : .text(hex(UInt64(entry.level), digits: 2))
            case 3: return .integer(Int64(slot))
            case 4 where isWords: return .text(hex(entry.address.rawValue + UInt64(slot) * 8, digits: 16))
            case 4: return .integer(Int64(run.count))
            case 5: return .text(hex(word, digits: 16))
            default: return .integer(Int64(bitPattern: isWords ? word : run.stride))
            }
        }

        /// An address as the views write it; another text equals none.
        private static func parse(_ text: String) -> UInt64? {
            guard text.hasPrefix("0x"), let value = HexText.parse(Array(text.utf8.dropFirst(2))[...]) else {
                return nil
            }
            return value
        }
    }
}
