import Testing

/// A sealed generation in any `sqlite3` shell: the views list what the verbs list, with the same columns.
@Suite struct ShellTests {
    @Test(arguments: [
        ("areas", "area"), ("units", "unit_view"), ("devices", "device_view"), ("groups", "group_view"),
        ("domains", "domain_view"), ("attachments", "attachment_view"), ("ioas", "ioas_view"),
    ])
    func `the view says what the verb says`(verb: String, view: String) throws {
        let listed = try Binary.run([verb, ImportedStore.path, "--format", "csv"])
        #expect(listed.status == 0 && !listed.output.isEmpty)
        let shell = try Binary.run(
            program: "sqlite3", ["-readonly", "-csv", "-header", ImportedStore.path, "SELECT * FROM \(view)"])
        #expect(shell.errors == "")
        let rows = shell.lines.map { $0.replacing("\r", with: "").replacing("\"", with: "") }
        #expect(rows.first == listed.lines.first)
        #expect(rows.sorted() == listed.lines.map { $0.replacing("\"", with: "") }.sorted())
    }

    @Test func `a shell that reads a generation keeps no verb from it`() throws {
        // In its transaction the shell has a read lock on the file.
        let shell = try Binary.run(
            program: "sqlite3",
            [
                "-readonly", ImportedStore.path, "BEGIN", "SELECT count(*) FROM device",
                ".shell \(Binary.path) domains \(ImportedStore.path) --format csv | head -n 1",
            ])
        #expect(shell.errors == "" && shell.lines.count == 2)
        #expect(shell.lines.contains { $0.hasPrefix("domain,kind") })
    }
}
