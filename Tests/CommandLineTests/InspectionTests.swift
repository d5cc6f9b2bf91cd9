import Foundation
import Glibc
import Testing

/// Looking changes nothing: every verb that only reads, on a directory that must not change by a byte or a name, with and
/// without a journal beside the generation.
@Suite struct InspectionTests {
    /// Every verb that reads a store, as it is run on it. A test compares with the list of verbs.
    static let verbs: [(name: String, options: [String])] = [
        ("info", []), ("units", []), ("devices", []), ("groups", []), ("domains", []), ("attachments", []),
        ("ioas", []),
        ("areas", []), ("tables", []), ("generations", []), ("events", []), ("mappings", []), ("check", []),
        ("diff", []),
        ("translate", ["0000:00:09.0", "0x200123"]), ("verify-seal", []), ("restore", []), ("restore", ["--dry-run"]),
        ("sql", []), ("sql", ["SELECT count(*) FROM table_word"]), ("sql", ["SELECT * FROM mapping ORDER BY pa"]),
    ]

    /// Verbs that read no store, or write one.
    static let others = ["handover", "scenario", "import", "rules", "conformance", "schema", "help", "migrate"]

    /// What a change would show in: names, bytes, modes, inodes and times of every file and of the directory itself.
    static func fingerprint(_ folder: ScratchFolder) throws -> [String] {
        try ([""] + folder.names).map { name in
            let path = name.isEmpty ? folder.path : folder[name]
            var status = stat()
            try #require(lstat(path, &status) == 0)
            let bytes = name.isEmpty ? [] : try ScratchFolder.bytes(at: path)
            return "\(name) \(status.st_mode) \(status.st_ino) \(status.st_nlink) \(status.st_mtim.tv_sec) "
                + "\(status.st_mtim.tv_nsec) \(status.st_ctim.tv_nsec) \(bytes.count) \(bytes.hashValue)"
        }
    }

    enum Journal: String, CaseIterable { case none, spent, stray, rolledBack = "rolled-back" }

    /// A directory with one generation and what stands beside it, all read-only. A hot journal is one that the sqlite3
    /// shell left in the middle of a transaction.
    static func folder(_ journal: Journal) throws -> ScratchFolder {
        let folder = try ScratchFolder()
        try folder.write(try ScratchFolder.bytes(at: SQLVerbTests.store), to: "1.domstore")
        switch journal {
        case .none: break
        case .spent: try folder.write([UInt8](repeating: 0, count: 512), to: "1.domstore-journal")
        case .stray, .rolledBack:
            let work = try ScratchFolder()
            try work.write(try ScratchFolder.bytes(at: SQLVerbTests.store), to: "w")
            // An open generation is what a dead engine leaves; the page cache of two pages forces it out.
            let open = journal == .rolledBack ? "DELETE FROM seal; DELETE FROM manifest;" : ""
            let script = """
                \(open) PRAGMA journal_mode = PERSIST; PRAGMA cache_size = 2; PRAGMA cache_spill = 1; BEGIN;
                UPDATE event SET name = name || 'x'; UPDATE device SET driver = driver || 'x';
                UPDATE unit_register SET name = name || 'x'; UPDATE domain SET preserved = 0; UPDATE manifest SET row_count = 0;
                UPDATE attachment SET domain = 1; UPDATE area_chunk SET records = records; UPDATE hwpt SET token = NULL;
                """
            let run = try Binary.run(
                program: "sqlite3",
                [
                    work["w"], script, ".shell cp \(work["w"]) \(work["w2"])",
                    ".shell cp \(work["w"])-journal \(work["j2"])",
                ])
            try #require(run.errors == "", "\(run.errors)")
            let hot = try work.bytes(of: "j2")
            try #require(hot.prefix(8) == [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7] && hot.count > 5000)
            if journal == .rolledBack { try folder.write(try work.bytes(of: "w2"), to: "1.domstore") }
            try folder.write(hot, to: "1.domstore-journal")
        }
        for name in folder.names { chmod(folder[name], journal == .rolledBack ? 0o644 : 0o444) }
        chmod(folder.path, 0o555)
        return folder
    }

    @Test(arguments: Journal.allCases)
    func `no verb that reads changes a byte, a time or a name`(journal: Journal) throws {
        let folder = try Self.folder(journal)
        defer { chmod(folder.path, 0o755) }
        let before = try Self.fingerprint(folder)
        for (verb, options) in Self.verbs {
            for store in [folder["1.domstore"], folder.path] {
                // An open generation of a directory must be named: without, the newest sealed one is meant.
                let number =
                    journal == .rolledBack && store == folder.path && verb != "generations"
                    ? ["--generation", "1"] : []
                // Against itself; its generations have other names.
                let same = number.isEmpty ? store : "\(store)@1"
                let run = try Binary.run(verb == "diff" ? [verb, same, same] : [verb, store] + options + number)
                let isUnsealed = journal == .rolledBack && ["verify-seal", "restore"].contains(verb)
                #expect(
                    run.status == 0 || (isUnsealed && (1...2).contains(run.status)), "\(verb) \(options): \(run.errors)"
                )
                #expect(try Self.fingerprint(folder) == before, "\(verb) \(options) \(store)")
                let isNamed = run.errors.contains("hot journal")
                let isHot = journal == .stray || journal == .rolledBack
                // Of a directory's files `generations` tells it in a column.
                if verb != "generations" { #expect(isNamed == isHot, "\(verb): \(run.errors)") }
            }
        }
        let info = try Binary.run(["info", folder["1.domstore"], "--jsonl"])
        #expect(info.output.contains("\"journal\": \"\(journal.rawValue)\""), "\(info.output)")
        let listed = try Binary.run(["generations", folder.path, "--jsonl"])
        #expect(listed.output.contains("\"journal\": \"\(journal.rawValue)\""), "\(listed.output)")
    }

    @Test func `a rolled back generation is read as it was before the transaction`() throws {
        let folder = try Self.folder(.rolledBack)
        defer { chmod(folder.path, 0o755) }
        let whole = try Binary.run(["events", SQLVerbTests.store, "--format", "csv"])
        #expect(try Binary.run(["events", folder["1.domstore"], "--format", "csv"]).output == whole.output)
        // The file by itself is torn: the journal is needed.
        let torn = try ScratchFolder()
        try torn.write(try folder.bytes(of: "1.domstore"), to: "torn.domstore")
        #expect(try Binary.run(["check", torn["torn.domstore"]]).status != 0)
    }

    @Test func `every verb is on a list`() throws {
        let help = try Binary.run(["--help"]).output
        let list = try #require(help.components(separatedBy: "SUBCOMMANDS:\n").last)
        let names = list.split(separator: "\n").filter { $0.hasPrefix("  ") && !$0.hasPrefix("   ") }
            .compactMap { $0.split(separator: " ").first.map(String.init) }.filter { $0 != "See" }
        #expect(names.count > 20)
        for name in names { #expect(Self.verbs.contains { $0.name == name } || Self.others.contains(name), "\(name)") }
    }
}
