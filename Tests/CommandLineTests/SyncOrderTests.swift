import Testing

/// The finished binary under `strace`: what it tells is on the medium, not only in the page cache.
@Suite struct SyncOrderTests {
    private static func trace(_ folder: ScratchFolder, _ arguments: [String]) throws -> [Substring] {
        let output = try ScratchFolder()
        let run = try Binary.run(
            program: "strace",
            ["-f", "-y", "-s", "4096", "-o", output["trace"], "-e", "trace=" + SyncOrder.calls.joined(separator: ",")]
                + [Binary.path] + arguments)
        try #require(run.status == 0, "\(run.errors)")
        return String(decoding: try output.bytes(of: "trace"), as: UTF8.self).split(separator: "\n")
    }

    private static func check(_ trace: [Substring], _ folder: ScratchFolder, _ what: String) throws {
        let order = SyncOrder(trace, below: folder.path)
        #expect(order.complaints == [])
        // Each sync is needed, or one beside it does the same: without it the check itself must complain.
        var needed = 0
        for sync in 1...max(1, order.syncs) {
            if !SyncOrder(trace, below: folder.path, dropping: sync).complaints.isEmpty { needed += 1 }
        }
        print(
            """
            order of syncs of \(what): \(order.writes) writes, \(order.names) names, \(order.syncs) syncs, \(order.told) \
            times told, \(order.complaints.count) too early; without a sync found out: \(needed) of \(order.syncs)
            """)
        #expect(order.writes > 20 && order.names >= 3 && order.told >= 1)
        #expect(needed >= 2)
    }

    @Test func `a handover syncs every write and every name before it tells a phase`() throws {
        let handover = try SmallHandover()
        let trace = try Self.trace(handover.folder, ["handover", handover.scenario, "--store", handover.store])
        #expect(trace.contains { $0.contains("write(1<") && $0.contains("sealed as") })
        #expect(trace.contains { $0.contains("unlink(") && $0.contains("1.domstore-journal") })
        try Self.check(trace, handover.folder, "a handover")
    }

    @Test(arguments: [false, true])
    func `an import syncs file and name before it tells its seal`(replacing: Bool) throws {
        let folder = try ScratchFolder()
        let arguments = ["import", "--meta", Fixtures.images + "vtd48.json", "--store", folder["x.domstore"]]
        if replacing { try #require(try Binary.run(arguments).status == 0) }
        let trace = try Self.trace(folder, arguments + (replacing ? ["--force"] : []))
        #expect(trace.contains { $0.contains(replacing ? "rename(" : "link(") && $0.contains("x.domstore") })
        try Self.check(trace, folder, replacing ? "an import that replaces" : "an import")
    }
}
