import Foundation
import Testing

/// The finished binary under `strace`: what it tells is on the medium, not only in the page cache.
@Suite struct SyncOrderTests {
    private static func trace(
        _ folder: ScratchFolder, _ arguments: [String]
    ) throws -> [Substring] {
        let output = try ScratchFolder()
        let run = try Binary.run(
            program: "strace",
            ["-f", "-y", "-s", "4096", "-o", output["trace"], "-e", "trace=" + SyncOrder.calls.joined(separator: ",")]
                + [Binary.path] + arguments)
        try #require(run.status == 0, "\(run.errors)\(run.output)")
        return String(decoding: try output.bytes(of: "trace"), as: UTF8.self).split(separator: "\n")
    }

    private static func check(
        _ trace: [Substring], _ folder: ScratchFolder, _ what: String, names: Int = 3, writes: Int = 5
    ) throws {
        let order = SyncOrder(trace, below: folder.path)
        #expect(order.complaints == [])
        // Without a sync, and those beside it that do the same, the check itself must complain.
        let groups = order.folderGroups + order.fileGroups
        let missed = groups.filter { SyncOrder(trace, below: folder.path, dropping: $0).complaints.isEmpty }
        print(
            """
            order of syncs of \(what): \(order.writes) writes, \(order.names) names, \(order.syncs) syncs, \(order.told) \
            times told, \(order.complaints.count) too early; without those of a directory found out: \
            \(order.folderGroups.count), without those of a file: \(order.fileGroups.count), not found out: \(missed.count)
            """)
        #expect(missed == [])
        #expect(order.writes >= writes && order.names >= names && order.told >= 1)
        #expect(!order.folderGroups.isEmpty && (writes == 0 || !order.fileGroups.isEmpty))
    }

    @Test func `a handover syncs every write and every name before it tells a phase`() throws {
        let handover = try SmallHandover()
        let trace = try Self.trace(handover.folder, ["handover", handover.scenario, "--store", handover.store])
        #expect(trace.contains { $0.contains("write(1<") && $0.contains("sealed as") })
        #expect(trace.contains { $0.contains("unlink(") && $0.contains("1.domstore-journal") })
        try Self.check(trace, handover.folder, "a handover", names: 6)
    }

    @Test func `a restore that records syncs every write and every name before it tells a phase`() throws {
        let handover = try SmallHandover()
        let dead = try handover.run("--memory", handover.memory, "--crash-at", "after-seal")
        #expect(dead.status == 128 + 9, "\(dead.errors)")
        let trace = try Self.trace(
            handover.folder,
            ["restore", handover.store, "--memory", handover.memory, "--record", handover.store])
        #expect(trace.contains { $0.contains("O_CREAT") && $0.contains("/2.domstore\"") })
        #expect(trace.contains { $0.contains("write(1<") && $0.contains("verdict: restored") })
        try Self.check(trace, handover.folder, "a restore that records", names: 2)
    }

    @Test(arguments: [false, true], [false, true])
    func `an import syncs file and name before it tells its seal`(replacing: Bool, vouched: Bool) throws {
        let folder = try ScratchFolder()
        var arguments = ["import", "--meta", Fixtures.images + "vtd48.json", "--store", folder["x.domstore"]]
        if vouched {
            try folder.write([UInt8](repeating: 7, count: 32), to: "key")
            arguments += ["--key", folder["key"]]
        }
        if replacing { try #require(try Binary.run(arguments).status == 0) }
        let trace = try Self.trace(folder, arguments + (replacing ? ["--force"] : []))
        let naming = trace.firstIndex { $0.contains(replacing ? "rename(" : "link(") && $0.contains("x.domstore\"") }
        let code = trace.firstIndex { $0.contains("rename(") && $0.contains("x.domstore.hmac\"") }
        #expect(naming != nil && (code != nil) == vouched)
        // The code is there before what it vouches for.
        if let code, let naming { #expect(code < naming) }
        let what = "an import\(vouched ? " with a key" : "")\(replacing ? " that replaces" : "")"
        try Self.check(trace, folder, what)
    }

    @Test func `a migration syncs file and name before it tells`() throws {
        let folder = try ScratchFolder()
        let trace = try Self.trace(folder, ["migrate", MigrateVerbTests.old, "--to", folder["2.domstore"]])
        #expect(trace.contains { $0.contains("link(") && $0.contains("/2.domstore\"") })
        #expect(trace.contains { $0.contains("write(1<") && $0.contains("migrated") })
        try Self.check(trace, folder, "a migration", writes: 2)
    }

    @Test func `a migration of a directory syncs the directory that it makes`() throws {
        let folder = try ScratchFolder()
        try FileManager.default.createDirectory(atPath: folder["in"], withIntermediateDirectories: false)
        try folder.write(try ScratchFolder.bytes(at: SQLVerbTests.store), to: "in/1.domstore")
        let trace = try Self.trace(folder, ["migrate", folder["in"], "--to", folder["out"]])
        #expect(trace.contains { $0.contains("mkdir(") && $0.contains("/out\"") })
        try Self.check(trace, folder, "a migration to a new directory", names: 1, writes: 0)
    }
}
