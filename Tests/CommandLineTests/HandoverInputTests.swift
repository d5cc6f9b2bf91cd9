import Foundation
import Glibc
import Testing

/// What `handover` may not destroy, what it leaves behind, and what it says when it cannot run.
@Suite struct HandoverInputTests {
    @Test func `an existing memory file or description is refused before anything is made, unless forced`() throws {
        for name in ["memory.elf", "memory.json"] {
            let made = try SmallHandover()
            try made.folder.write("precious".utf8, to: name)
            let refused = try made.run("--memory", made.memory)
            #expect(refused.status == 3)
            #expect(
                refused.errors
                    == "domstore: \(made.folder[name]): found a file; expected none, or --force to replace it\n")
            #expect(try made.folder.bytes(of: name) == Array("precious".utf8))
            #expect(made.folder.names == [name, "small.json"])
            let forced = try made.run("--memory", made.memory, "--force")
            #expect(forced.status == 0, "\(forced.errors)")
            #expect(made.folder.names == ["memory.elf", "memory.json", "small.json", "store"])
        }
    }

    @Test func `a memory path that is no regular file is refused even when forced`() throws {
        let made = try SmallHandover()
        try made.folder.write("precious".utf8, to: "other")
        symlink(made.folder["other"], made.memory)
        let run = try made.run("--memory", made.memory, "--force")
        #expect(run.status == 2)
        #expect(try made.folder.bytes(of: "other") == Array("precious".utf8))
    }

    @Test(arguments: [
        ("\"table_pages\": 2048", "\"table_pages\": 99999999", "RAM has room for"),
        ("\"base\": \"0x40000000\"", "\"base\": \"0x40000001\"", "machine.memory_files[1]: found base"),
        ("\"host_address_width\": 46", "\"host_address_width\": 70", "unit 1: host address width 70 is not 12 to 52"),
        (
            "\"id\": 1,\n        \"reg", "\"id\": 1,\n        \"segment\": 3,\n        \"reg",
            "is not on the segment of its unit 1"
        ),
        ("\"driver\": \"nvme\"", "\"unit\": 9", "device 0000:00:08.0 is behind unit 9, which does not exist"),
    ])
    func `a machine that cannot be built leaves nothing behind`(old: String, new: String, words: String) throws {
        let made = try SmallHandover { $0.replacingOccurrences(of: old, with: new) }
        let run = try made.run("--memory", made.memory)
        #expect(run.status == 2)
        #expect(run.errors.hasPrefix("domstore: \(made.scenario): "), "\(run.errors)")
        #expect(run.errors.contains(words))
        #expect(run.errors.split(separator: "\n").count == 1)
        #expect(made.folder.names == ["small.json"])
    }

    @Test func `a store that is a file is refused, and no memory file is left`() throws {
        let made = try SmallHandover()
        try made.folder.write("precious".utf8, to: "store")
        let run = try made.run("--memory", made.memory)
        #expect(run.status == 2)
        #expect(
            run.errors == "domstore: \(made.store): found a file; expected a directory of generations, or nothing\n")
        #expect(made.folder.names == ["small.json", "store"])
    }

    @Test func `a memory file that does not fit on the disk is an I/O error, and nothing is left of it`() throws {
        let made = try SmallHandover()
        let run = try Binary.run(
            program: "strace",
            ["-f", "-o", made.folder["trace"], "-e", "trace=fallocate", "-e", "inject=fallocate:error=ENOSPC"]
                + [Binary.path, "handover", made.scenario, "--store", made.store, "--memory", made.memory])
        #expect(run.status == 3)
        #expect(run.errors == "domstore: \(made.memory): allocate: No space left on device\n")
        #expect(made.folder.names == ["small.json", "trace"])
    }

    @Test func `a step that answers otherwise is a difference, named by file and place`() throws {
        let made = try SmallHandover {
            $0.replacingOccurrences(of: "\"token\": 7", with: "\"token\": 7, \"expect\": \"EBUSY\"")
        }
        let run = try made.run()
        #expect(run.status == 1)
        #expect(run.errors == "domstore: \(made.scenario): steps[8] (mark): found success, expected EBUSY\n")
    }

    @Test func `an outcome other than the expected one is a difference after the whole run`() throws {
        let made = try SmallHandover { $0.replacingOccurrences(of: "\"restored\"", with: "\"degraded\"") }
        let run = try made.run()
        #expect(run.status == 1)
        #expect(run.errors == "domstore: \(made.scenario): expect.verdict: found restored, expected degraded\n")
        #expect(run.output.contains("finish "))
    }

    @Test(arguments: [("missing", 3), ("", 2), ("link", 2), ("fifo", 2), ("empty", 2)] as [(String, Int32)])
    func `what is no scenario gives one line and makes nothing`(name: String, status: Int32) throws {
        let folder = try ScratchFolder()
        try folder.write([], to: "empty")
        symlink(folder["empty"], folder["link"])
        mkfifo(folder["fifo"], 0o644)
        for verb in [["handover", folder[name], "--store", folder["store"]], ["scenario", "check", folder[name]]] {
            let run = try Binary.run(verb)
            #expect(run.status == status)
            #expect(run.output == "")
            #expect(run.errors.hasPrefix("domstore: \(folder[name]): "), "\(run.errors)")
            #expect(run.errors.split(separator: "\n").count == 1)
            #expect(!run.errors.contains("errno"))
        }
        #expect(folder.names == ["empty", "fifo", "link"])
    }
}
