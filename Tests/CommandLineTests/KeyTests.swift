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
}
