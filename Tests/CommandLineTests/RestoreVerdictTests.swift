import Foundation
import Glibc
import Testing

/// `restore` tells its verdict, why, and where it goes on (store.md, the table of verdicts).
@Suite struct RestoreVerdictTests {
    static let crashed = Result<SmallHandover, any Error> {
        let made = try SmallHandover()
        let run = try made.run("--memory", made.memory, "--crash-at", "after-restore")
        guard run.status == 137 else { throw Binary.Problem(call: "handover: \(run.errors)") }
        return made
    }

    static func json(_ arguments: [String]) throws -> (run: Binary.Outcome, object: [String: Any]) {
        let run = try Binary.run(["restore"] + arguments + ["--json"])
        let value = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
        return (run, value as? [String: Any] ?? [:])
    }

    @Test func `a restore names the generation it starts from and those it passes over`() throws {
        let made = try Self.crashed.get()
        let run = try Binary.run(["restore", made.store, "--memory", made.memory])
        #expect(run.status == 0, "\(run.errors)")
        let info = try Binary.run(["info", made.store, "--jsonl"]).output
        let seal = try #require(info.firstMatch(of: /"root": "(.*?)"/)).1
        #expect(run.output.contains("from generation 1 (1:\(seal)), the newest whose seal counts\n"))
        #expect(run.output.contains("later, and without one: 2\n"))
        #expect(run.output.contains("nothing is recorded\n"))
        #expect(run.lines.last == "verdict: restored (generation 1)")
        #expect(made.folder.names == ["memory.elf", "memory.json", "small.json", "store"])
    }

    @Test func `with --record it names the file it writes, whose verdict the list of generations shows`() throws {
        let made = try SmallHandover()
        _ = try made.run("--memory", made.memory, "--crash-at", "after-seal")
        let (run, object) = try Self.json([made.store, "--memory", made.memory, "--record", made.store + "/"])
        #expect(run.status == 0, "\(run.errors)")
        #expect(object["verdict"] as? String == "restored")
        let file = try #require(object["recorded"] as? String)
        let list = try Binary.run(["generations", made.store, "--format", "csv"]).lines
        let last = try #require(list.last?.split(separator: ",", omittingEmptySubsequences: false).map(String.init))
        #expect(file == made.store + "/\(last[0]).domstore")
        #expect([last[1], last[2], last[3], last[6]] == ["open", "engine", "1", "restored"])
        // The nonce is wiped at the end: what was handed over is taken, once.
        let again = try Binary.run(["restore", made.store, "--memory", made.memory])
        #expect(again.status == 1)
        #expect(again.lines.last == "verdict: cold-boot (generation 1) by rule nonce-absent")
        #expect(again.lines.first == "reason    memory holds no handover nonce: what was handed over is gone")
    }

    @Test func `with --policy quarantine what a damaged row does not concern is restored`() throws {
        let made = try Self.crashed.get()
        let folder = try ScratchFolder()
        let path = folder["1.domstore"]
        func damage(_ sql: String) throws {
            try folder.write(try ScratchFolder.bytes(at: made.store + "/1.domstore"), to: "1.domstore")
            #expect(try Binary.run(program: "sqlite3", [path, sql]).errors == "")
        }
        try damage("UPDATE table_chunk SET runs = zeroblob(length(runs)) WHERE id = 1")
        let memory = ["--memory", made.memory]
        let stopped = try Self.json([path] + memory)
        #expect(stopped.run.status == 1 && stopped.object["verdict"] as? String == "stop")
        let (run, object) = try Self.json([path, "--policy", "quarantine"] + memory)
        #expect(run.status == 1, "\(run.errors)")
        #expect(object["verdict"] as? String == "degraded" && object["rule"] as? String == "record-checksum")
        let devices = try #require(object["devices"] as? [[String: Any]])
        let lost = devices.filter { $0["state"] as? String == "quarantined" }
        #expect(!lost.isEmpty)
        #expect(lost.allSatisfy { ($0["reason"] as? String)?.contains("table_chunk id=1 domain=") == true })
        // The same without memory, and said beforehand.
        let offline = try Self.json([path, "--policy", "quarantine"])
        #expect(offline.run.status == 1 && offline.object["verdict"] as? String == "reconstructed")
        let names = lost.compactMap { $0["device"] as? String }
        #expect(
            (offline.object["devices"] as? [[String: Any]])?.filter { $0["state"] as? String == "quarantined" }
                .compactMap { $0["device"] as? String } == names)
        let check = try Binary.run(["check", path])
        #expect(check.errors.contains("every row is there; restore --policy quarantine restores "), "\(check.errors)")
        for name in names { #expect(check.errors.contains(name)) }
        // Of a device whose row is damaged nothing is known.
        try damage("UPDATE device SET driver = 'other'")
        let device = try Self.json([path, "--policy", "quarantine"] + memory)
        #expect(device.run.status == 1 && device.object["verdict"] as? String == "stop")
        #expect(try Binary.run(["check", path]).errors.contains("what is left cannot be trusted: restore stops"))
        #expect(try Binary.run(["restore", path, "--policy", "hope"]).status == 64)
    }

    /// Without and with ECAP.ADMS: by the root table, and by the registers beside the memory file.
    @Test(arguments: ["0xc0", "0x100000000000c0"])
    func `with --policy quarantine-all a stop ends with every unit aborting all DMA`(ecap: String) throws {
        let made = try SmallHandover { text in
            #expect(text.contains("\"ecap\": \"0xc0\""))
            return text.replacingOccurrences(of: "\"ecap\": \"0xc0\"", with: "\"ecap\": \"\(ecap)\"")
        }
        _ = try made.run("--memory", made.memory, "--crash-at", "after-seal")
        let file = made.store + "/1.domstore"
        try made.folder.write(try ScratchFolder.bytes(at: file), to: "sound.domstore")
        chmod(file, 0o644)
        #expect(try Binary.run(program: "sqlite3", [file, "UPDATE device SET driver = 'other'"]).errors == "")
        let arguments = [made.store, "--memory", made.memory, "--policy", "quarantine-all"]
        func truth() throws -> String {
            let store = made.folder["imported.domstore"]
            unlink(store)
            let meta = (made.memory as NSString).deletingPathExtension + ".json"
            #expect(try Binary.run(["import", "--meta", meta, "--store", store]).status < 2)
            return try Binary.run(["mappings", store, "--format", "csv"]).output
        }
        let before = try truth()
        #expect(before.split(separator: "\n").count > 1)
        // Said first: nothing is written.
        let (said, told) = try Self.json(arguments)
        #expect(said.status == 1 && told["verdict"] as? String == "quarantined", "\(said.errors)")
        #expect(told["rule"] as? String == "record-checksum" && told["recorded"] as? String == nil)
        #expect(try truth() == before)
        #expect(said.output.contains("nothing is written") && told["blackout_seconds"] as? Double == nil)
        // Whoever dies on the way can do it again: the nonce goes last.
        let died = try Binary.run(["restore"] + arguments + ["--record", made.store, "--crash-at", "in-restore"])
        #expect(died.status == 137)
        // And whoever cannot write what is beside the memory.
        let description = try ScratchFolder.bytes(at: made.folder["memory.json"])
        let names = made.folder.names
        let blocked = try Binary.run(
            program: "strace",
            ["-f", "-o", "/dev/null", "-e", "trace=rename", "-e", "inject=rename:error=EIO", Binary.path, "restore"]
                + arguments + ["--record", made.store])
        #expect(blocked.status == 3)
        #expect(blocked.errors == "domstore: \(made.folder["memory.json"]): rename: Input/output error\n")
        #expect(try ScratchFolder.bytes(at: made.folder["memory.json"]) == description)
        #expect(made.folder.names == names)
        let (done, object) = try Self.json(arguments + ["--record", made.store])
        #expect(done.status == 1 && object["verdict"] as? String == "quarantined", "\(done.errors)")
        let devices = try #require(object["devices"] as? [[String: Any]])
        #expect(!devices.isEmpty && devices.allSatisfy { $0["state"] as? String == "quarantined" })
        #expect(try truth().split(separator: "\n").count == 1)
        // What the next engine reads says the same as what an import reads.
        let text = try String(contentsOfFile: made.folder["memory.json"], encoding: .utf8)
        let roots = text.matches(of: /"rtaddr" *: *"(.*?)"/).map { String($0.1) }
        #expect(roots.count == 2 && Set(roots).count == 1)
        // The nonce went with it, and no generation came.
        #expect(try Binary.run(["generations", made.store, "--format", "csv"]).lines.count == 2)
        let again = try Binary.run(["restore", made.folder["sound.domstore"], "--memory", made.memory])
        #expect(again.lines.last == "verdict: cold-boot (generation 1) by rule nonce-absent")
        #expect(try Binary.run(["restore", made.store, "--policy", "quarantine-all"]).status == 64)
    }

    @Test func `with --policy quarantine-all a header that cannot be read is no reason to go on writing`() throws {
        let made = try SmallHandover()
        _ = try made.run("--memory", made.memory, "--crash-at", "after-seal")
        let file = made.store + "/1.domstore"
        var bytes = try ScratchFolder.bytes(at: file)
        bytes[18] ^= 0xff
        let folder = try ScratchFolder()
        try folder.write(bytes, to: "header.domstore")
        let (run, object) = try Self.json(
            [folder["header.domstore"], "--memory", made.memory, "--policy", "quarantine-all"])
        #expect(run.status == 2)
        #expect(object["verdict"] as? String == "quarantined" && object["rule"] as? String == "store-application")
        // Without the machine it stays a stop, which is said all the same.
        let (lost, stop) = try Self.json(
            [
                folder["header.domstore"], "--memory", made.memory, "--meta", folder["none.json"], "--policy",
                "quarantine-all",
            ])
        #expect(lost.status == 2 && stop["verdict"] as? String == "stop")
        #expect((stop["reason"] as? String)?.contains("not all DMA can be stopped: \(folder["none.json"])") == true)
        // What can be restored is.
        let (sound, restored) = try Self.json([made.store, "--memory", made.memory, "--policy", "quarantine-all"])
        #expect(sound.status == 0 && restored["verdict"] as? String == "restored", "\(sound.errors)")
    }

    @Test func `another seal than the expected one is a stop that says both`() throws {
        let made = try Self.crashed.get()
        let (run, object) = try Self.json([made.store, "--expect-seal", "1:0011223344556677"])
        #expect(run.status == 1)
        #expect(object["verdict"] as? String == "stop")
        #expect(object["rule"] as? String == "root-digest-differs")
        let reason = try #require(object["reason"] as? String)
        #expect(reason.contains("1:0011223344556677") && reason.contains("the seal is 1:"))
    }

    @Test func `a damaged record is a stop that names it, a damaged header one that also exits 2`() throws {
        let made = try Self.crashed.get()
        var bytes = try ScratchFolder.bytes(at: made.store + "/1.domstore")
        let folder = try ScratchFolder()
        bytes[18] ^= 0xff
        try folder.write(bytes, to: "header.domstore")
        let (header, verdict) = try Self.json([folder["header.domstore"]])
        #expect(header.status == 2)
        #expect(header.errors.hasPrefix("domstore: \(folder["header.domstore"]): offset 18: "))
        #expect(header.errors.split(separator: "\n").count == 1)
        #expect(verdict["verdict"] as? String == "stop")
        #expect(verdict["rule"] as? String == "store-application")
        bytes[18] ^= 0xff
        // The name of a driver, in a row of the table of devices.
        let name = try #require(bytes.firstRange(of: Array("vfio-pci".utf8)))
        bytes[name.lowerBound] ^= 0x01
        try folder.write(bytes, to: "record.domstore")
        let record = try Binary.run(["restore", folder["record.domstore"]])
        #expect(record.status == 1)
        #expect(record.lines.last == "verdict: stop (generation 1) by rule record-checksum")
        #expect(record.lines.first?.hasPrefix("reason    record-checksum: device segment=0 rid=") == true)
    }

    @Test(arguments: [("missing", 3), ("text", 2), ("link", 2), ("empty", 2), ("fifo", 2)] as [(String, Int32)])
    func `what is no store gives one line with its path and no trap`(name: String, status: Int32) throws {
        let folder = try ScratchFolder()
        try folder.write("no store".utf8, to: "text")
        symlink(folder["text"], folder["link"])
        mkdir(folder["empty"], 0o755)
        mkfifo(folder["fifo"], 0o644)
        let run = try Binary.run(["restore", folder[name]])
        #expect(run.status == status)
        #expect(run.errors.hasPrefix("domstore: \(folder[name]): "), "\(run.errors)")
        #expect(run.errors.contains("expected"))
        #expect(run.errors.split(separator: "\n").count == 1)
        #expect(run.output == (name == "text" ? "verdict: stop by rule store-application\n" : ""))
    }

    @Test func `only the directory that is restored from can take the record`() throws {
        let made = try Self.crashed.get()
        let other = try Binary.run(["restore", made.store, "--memory", made.memory, "--record", made.folder.path])
        #expect(other.status == 64)
        let dry = try Binary.run(["restore", made.store, "--memory", made.memory, "--record", made.store, "--dry-run"])
        #expect(dry.status == 64)
        let file = made.store + "/1.domstore"
        let single = try Binary.run(["restore", file, "--memory", made.memory, "--record", file])
        #expect(single.status == 2)
        #expect(single.errors.hasPrefix("domstore: \(file): found one generation; expected their directory"))
    }
}
