import Foundation
import Glibc
import Testing

/// `--key`: seals that are vouched for, and what becomes of those that are not.
@Suite struct KeyTests {
    private static func key(_ folder: ScratchFolder, _ name: String = "key", _ byte: UInt8 = 7) throws -> String {
        try folder.write([UInt8](repeating: byte, count: 32), to: name)
        return folder[name]
    }

    @Test func `an import with a key has a code that other programs compute, too`() throws {
        let folder = try ScratchFolder()
        let key = try Self.key(folder)
        let store = folder["a.domstore"]
        let run = try Binary.run(["import", "--meta", Fixtures.images + "vtd48.json", "--store", store, "--key", key])
        #expect(run.status == 0, "\(run.errors)")
        let text = String(decoding: try folder.bytes(of: "a.domstore.hmac"), as: UTF8.self)
        let digest = try Binary.run(program: "sha256sum", [store])
        let sum = String(digest.output.prefix(64))
        #expect(sum.count == 64 && text.contains("sha256 \(sum)\n"))
        let verify = try Binary.run(["verify-seal", store, "--key", key, "--sha256", "--jsonl"])
        #expect(verify.status == 0, "\(verify.errors)")
        #expect(verify.output.contains("\"sha256\": \"\(sum)\", \"code\": \"good\""))
        let script = """
            import hmac, sys
            text = open(sys.argv[1], 'rb').read(); key = open(sys.argv[2], 'rb').read()
            signed, code = text[:text.index(b'hmac-sha256 ')], text.split()[-1].decode()
            print(hmac.new(key, signed, 'sha256').hexdigest() == code)
            print(hmac.new(key, b'domstore key', 'sha256').hexdigest()[:16])
            """
        let other = try Binary.run(program: "python3", ["-c", script, store + ".hmac", key])
        #expect(other.lines.first == "True", "\(other.errors)")
        #expect(text.contains("key \(other.lines.last ?? "?")\n"))
    }

    @Test func `a handover with a key can be restored with it, and only with it`() throws {
        let small = try SmallHandover()
        let key = try Self.key(small.folder)
        let other = try Self.key(small.folder, "other", 8)
        let run = try small.run("--key", key, "--memory", small.memory, "--crash-at", "in-restore")
        #expect(run.status == 128 + 9, "\(run.errors)")
        let sealed = small.store + "/1.domstore"
        #expect(access(sealed + ".hmac", R_OK) == 0)
        for verb in ["verify-seal", "check"] {
            #expect(try Binary.run([verb, sealed, "--key", key]).status == 0)
            let wrong = try Binary.run([verb, sealed, "--key", other])
            #expect(wrong.status == 1 && wrong.errors.contains("found a code by key "), "\(wrong.errors)")
            #expect(wrong.errors.split(separator: "\n").count == 1)
        }
        let refused = try Binary.run(["restore", small.store, "--memory", small.memory, "--key", other])
        #expect(refused.status == 1 && refused.lines.last == "verdict: stop", "\(refused.output)")
        #expect(refused.errors.contains("found a code by key "))
        let json = try Binary.run(["restore", small.store, "--memory", small.memory, "--key", other, "--json"])
        #expect(json.status == 1 && json.output.contains("\"verdict\": \"stop\""), "\(json.output)")
        // A key asks for a code; without one, none is looked at.
        #expect(try Binary.run(["restore", small.store, "--memory", small.memory]).status == 0)
        let done = try Binary.run([
            "restore", small.store, "--memory", small.memory, "--key", key, "--record", small.store,
        ])
        #expect(
            done.status == 0 && done.lines.last?.hasPrefix("verdict: restored") == true, "\(done.errors)\(done.output)")
    }

    @Test func `without its code a sealed file is as good as ever, but not for one who has a key`() throws {
        let folder = try ScratchFolder()
        let key = try Self.key(folder)
        try folder.write(try ScratchFolder.bytes(at: SQLVerbTests.store), to: "a.domstore")
        let store = folder["a.domstore"]
        #expect(try Binary.run(["verify-seal", store]).status == 0)
        let missing = try Binary.run(["verify-seal", store, "--key", key, "--format", "csv"])
        #expect(missing.status == 1 && missing.output.contains(",good,refused,"), "\(missing.output)")
        #expect(missing.errors.contains("found no code of the seal"))
        for verb in ["check", "restore"] {
            let run = try Binary.run([verb, store, "--key", key])
            #expect(run.status == 1 && run.errors.contains("found no code of the seal"), "\(run.errors)")
        }
    }

    @Test func `a key that is none is told, before anything is done`() throws {
        let folder = try ScratchFolder()
        try folder.write([1, 2, 3], to: "short")
        let arguments: [[String]] = [
            ["verify-seal", SQLVerbTests.store], ["check", SQLVerbTests.store], ["restore", SQLVerbTests.store],
            ["import", "--meta", Fixtures.images + "vtd48.json", "--store", folder["out"]],
            ["handover", Fixtures.scenarios + "ordinary.json", "--store", folder["out"]],
            ["migrate", SQLVerbTests.store, "--to", folder["out"]],
        ]
        for verb in arguments {
            let short = try Binary.run(verb + ["--key", folder["short"]])
            #expect(short.status == 2 && short.output == "")
            #expect(short.errors == "domstore: \(folder["short"]): found 3 bytes; expected 16 to 4096\n")
            #expect(try Binary.run(verb + ["--key", folder["none"]]).status == 3)
        }
        #expect(folder.names == ["short"])
    }

    @Test func `a handover that dies before its code hands nothing over, and a key names what is missing`() throws {
        let small = try SmallHandover()
        let key = try Self.key(small.folder)
        let dead = try small.run("--key", key, "--memory", small.memory, "--crash-at", "before-nonce")
        #expect(dead.status == 128 + 9, "\(dead.errors)")
        let sealed = small.store + "/1.domstore"
        #expect(access(sealed + ".hmac", F_OK) != 0)
        // Whoever does not ask for a code finds no nonce in memory.
        let without = try Binary.run(["restore", small.store, "--memory", small.memory])
        #expect(without.status == 1 && without.lines.last?.hasPrefix("verdict: cold-boot") == true, "\(without.output)")
        let with = try Binary.run(["restore", small.store, "--memory", small.memory, "--key", key])
        #expect(with.status == 1 && with.lines.last == "verdict: stop", "\(with.output)")
        for verb in ["restore", "verify-seal", "check"] {
            let run = try Binary.run([verb, sealed, "--key", key])
            #expect(run.status == 1, "\(verb)")
            #expect(
                run.errors.contains("found no code of the seal") && run.errors.contains("--make-code"), "\(run.errors)")
        }
    }

    @Test func `a code that is missing is made of the seal that is named, and of no other`() throws {
        let folder = try ScratchFolder()
        let key = try Self.key(folder)
        let bytes = try ScratchFolder.bytes(at: SQLVerbTests.store)
        try folder.write(bytes, to: "a.domstore")
        let store = folder["a.domstore"]
        let told = try Binary.run(["verify-seal", store, "--format", "csv"])
        let fields = try #require(told.lines.last).split(separator: ",")
        let seal = "\(fields[1]):\(fields[2])"
        func make(_ options: String...) throws -> Binary.Outcome {
            try Binary.run(["verify-seal", store, "--make-code", "--format", "csv"] + options)
        }
        // Which seal must be said.
        #expect(try make("--key", key).status == 64)
        #expect(try make("--expect-seal", seal).status == 64)
        let other = try make("--key", key, "--expect-seal", "7:" + fields[2])
        #expect(other.status == 1 && other.errors.contains("expected 7:"), "\(other.errors)")
        var damaged = bytes
        damaged[try #require(bytes.firstRange(of: Array("e1000e".utf8))).lowerBound] ^= 1
        try folder.write(damaged, to: "a.domstore")
        let broken = try make("--key", key, "--expect-seal", seal)
        #expect(broken.status == 1 && broken.output.contains(",broken,refused,"), "\(broken.output)\(broken.errors)")
        #expect(folder.names == ["a.domstore", "key"])
        try folder.write(bytes, to: "a.domstore")
        // A journal that would change what is read.
        try folder.write(
            [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7] + [UInt8](repeating: 0, count: 504),
            to: "a.domstore-journal")
        let hot = try make("--key", key, "--expect-seal", seal)
        #expect(hot.status == 2 && hot.errors.contains("expected the file by itself"), "\(hot.errors)")
        unlink(folder["a.domstore-journal"])
        #expect(folder.names == ["a.domstore", "key"])

        let made = try make("--key", key, "--expect-seal", seal)
        #expect(made.status == 0 && made.output.contains(",good,made,"), "\(made.output)\(made.errors)")
        let good = try Binary.run(["verify-seal", store, "--key", key, "--format", "csv"])
        #expect(good.status == 0 && good.output.contains(",good,good,"), "\(good.output)")
        // One that is there stays, whatever it says.
        try folder.write(Array("mine".utf8), to: "b.hmac")
        rename(folder["b.hmac"], store + ".hmac")
        let again = try make("--key", key, "--expect-seal", seal)
        #expect(again.status == 2 && again.errors.contains("no code is written over another"), "\(again.errors)")
        #expect(try folder.bytes(of: "a.domstore.hmac") == Array("mine".utf8))
    }

    @Test func `a code that cannot be written fails the handover: the seal is revoked, memory has no nonce`() throws {
        let small = try SmallHandover()
        let key = try Self.key(small.folder)
        // A directory in the place of the code: no file can take its name.
        try FileManager.default.createDirectory(
            atPath: small.store + "/1.domstore.hmac", withIntermediateDirectories: true)
        let run = try small.run("--key", key, "--memory", small.memory)
        #expect(run.status == 3 && run.errors.contains("1.domstore.hmac"), "\(run.errors)")
        #expect(run.output.contains("goes on in generation 2, which revokes generation 1"), "\(run.output)")
        let restored = try Binary.run(["restore", small.store, "--memory", small.memory])
        #expect(restored.status == 1 && restored.lines.last?.hasPrefix("verdict: cold-boot") == true)
        let list = try Binary.run(["generations", small.store, "--format", "csv"])
        #expect(list.output.contains("\n1,revoked,") && list.output.contains("\n2,open,"), "\(list.output)")
    }

    @Test func `an import whose code cannot be written leaves no file`() throws {
        let folder = try ScratchFolder()
        let key = try Self.key(folder)
        try FileManager.default.createDirectory(
            atPath: folder["a.domstore.hmac"], withIntermediateDirectories: false)
        let run = try Binary.run([
            "import", "--meta", Fixtures.images + "vtd48.json", "--store", folder["a.domstore"], "--key", key,
        ])
        #expect(run.status == 3 && run.errors.contains("a.domstore.hmac"), "\(run.errors)")
        #expect(folder.names == ["a.domstore.hmac", "key"])
    }
}
