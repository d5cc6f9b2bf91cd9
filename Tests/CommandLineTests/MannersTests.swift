import Foundation
import Glibc
import Testing

/// Exit codes, help, version, completions: the same for every verb.
@Suite struct MannersTests {
    @Test func helpGoesToStandardOutputAndEndsFine() throws {
        let run = try Binary.run(["--help"])
        #expect(run.status == 0)
        #expect(run.output.contains("USAGE: domstore"))
        #expect(run.errors == "")
    }

    @Test func theVersionNamesTheVersionOfTheSchemaToo() throws {
        let run = try Binary.run(["--version"])
        #expect(run.status == 0)
        try #require(run.lines.count == 1)
        let words = run.lines[0].split(separator: " ")
        #expect(words.first == "domstore")
        #expect(run.lines[0].contains("(store schema version "))
    }

    @Test(arguments: [
        ["nonsense"], ["info"], ["rules", "no-such-rule"], ["rules", "--format", "xml"],
        ["rules", "--json", "--jsonl"],
        ["rules", "--color", "sometimes"], ["translate", "x", "00:99.0", "0x0"],
        ["mappings", "x", "--pasid", "0x100000"],
        ["import", "x", "--store", "y"],
    ])
    func aWrongCommandLineExits64WithUsageOnStandardError(arguments: [String]) throws {
        let run = try Binary.run(arguments)
        #expect(run.status == 64)
        #expect(run.output == "")
        #expect(run.errors.hasPrefix("domstore: "))
        #expect(run.errors.contains("Usage: domstore"))
    }

    @Test(arguments: ["bash", "zsh", "fish"])
    func completionsAreGenerated(shell: String) throws {
        let run = try Binary.run(["--generate-completion-script", shell])
        #expect(run.status == 0)
        #expect(run.output.contains("mappings"))
        #expect(run.output.contains("jsonl"))
        #expect(run.output.contains("intel-vtd"))
    }

    @Test func aReaderThatGoesAwayIsNoError() throws {
        var ends: [Int32] = [0, 0]
        #expect(pipe(&ends) == 0)
        _ = fcntl(ends[1], F_SETFD, FD_CLOEXEC)
        close(ends[0])
        defer { close(ends[1]) }
        let run = try Binary.run(["rules"], output: ends[1])
        #expect(run.status == 0)
        #expect(run.errors == "")
    }

    @Test func outputThatCannotBeWrittenExits3() throws {
        let full = open("/dev/full", O_WRONLY | Int32(O_CLOEXEC))
        defer { close(full) }
        let run = try Binary.run(["rules"], output: full)
        #expect(run.status == 3)
        #expect(run.errors.hasPrefix("domstore: standard output: No space left on device"))
    }

    @Test func colourIsForTerminalsUnlessForbiddenOrForced() throws {
        #expect(try !Binary.run(["rules"]).output.contains("\u{1b}"))
        #expect(try Binary.run(["rules", "--color", "always"]).output.contains("\u{1b}[1m"))
        #expect(try Binary.runOnTerminal(["rules"], columns: 100).output.contains("\u{1b}[1m"))
        #expect(try !Binary.runOnTerminal(["rules", "--color", "never"], columns: 100).output.contains("\u{1b}"))
        #expect(
            try !Binary.runOnTerminal(["rules"], columns: 100, environment: ["NO_COLOR": "1"]).output.contains("\u{1b}")
        )
    }

    @Test func messagesTakeTheColourThatWasAskedFor() throws {
        #expect(try Binary.run(["info", "missing", "--color", "always"]).errors.hasPrefix("\u{1b}[1;31mdomstore:"))
        #expect(try Binary.run(["info", "missing", "--color=always"]).errors.hasPrefix("\u{1b}[1;31mdomstore:"))
        #expect(try Binary.run(["info", "missing", "--color", "never"]).errors.hasPrefix("domstore: missing"))
    }

    /// Runs what the script for bash says, without a terminal.
    @Test(arguments: [
        (["domstore", "hand"], ["handover"]), (["domstore", "veri"], ["verify-seal"]),
        (["domstore", "handover", "--crash-at", "in-"], ["in-pre-copy", "in-seal", "in-restore", "in-replace"]),
        (["domstore", "import", "--iommu", "a"], ["amd-vi", "arm-smmuv3"]),
        (["domstore", "rules", "preserve-s"], ["preserve-singleton-group"]),
        (["domstore", "check", "--format", "j"], ["json", "jsonl"]),
        (["domstore", "scenario", "c"], ["check"]),
    ])
    func bashCompletesVerbsAndValues(words: [String], expected: [String]) throws {
        let folder = try ScratchFolder()
        try folder.write(try Binary.run(["--generate-completion-script", "bash"]).output.utf8, to: "script")
        let line = words.joined(separator: " ")
        let program = """
            source \(folder["script"])
            COMP_WORDS=(\(line)); COMP_CWORD=\(words.count - 1); COMP_LINE="\(line)"; COMP_POINT=\(line.count)
            _domstore domstore "\(words[words.count - 1])" "\(words[words.count - 2])"
            printf '%s\\n' "${COMPREPLY[@]}"
            """
        let lines = try Binary.run(program: "bash", ["-c", program]).lines
        #expect(lines.map { $0.trimmingCharacters(in: .whitespaces) } == expected)
    }

    @Test(arguments: ["zsh", "fish"])
    func otherShellsGetAScriptThatNamesVerbsAndValues(shell: String) throws {
        let run = try Binary.run(["--generate-completion-script", shell])
        #expect(run.status == 0)
        for word in ["handover", "verify-seal", "after-restore", "preserve-singleton-group"] {
            #expect(run.output.contains(word), "\(word)")
        }
    }

    @Test func aTableFitsItsTerminalAndIsWholeInAPipe() throws {
        let terminal = try Binary.runOnTerminal(["rules", "--color", "never"], columns: 60)
        #expect(terminal.lines.count > 20)
        #expect(terminal.lines.allSatisfy { $0.count <= 60 })
        // Words are never cut, they move below their row.
        #expect(!terminal.output.contains("…"))
        let units = try Binary.runOnTerminal(["units", ImportedStore.path, "--color", "never"], columns: 60)
        #expect(units.lines.allSatisfy { $0.count <= 60 } && units.output.contains("…"))
        let told = try Binary.runOnTerminal(
            ["rules", "--color", "never"], columns: 200, environment: ["COLUMNS": "70"])
        #expect(told.lines.allSatisfy { $0.count <= 70 })
        let piped = try Binary.run(["rules"], environment: ["COLUMNS": "60"])
        #expect(!piped.output.contains("…"))
    }
}
