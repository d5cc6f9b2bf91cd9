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
}
