import Testing

/// `verify-seal` and `info`.
@Suite struct SealVerbTests {
    @Test func aGoodSealIsToldWithItsRoot() throws {
        let run = try Binary.run(["verify-seal", ImportedStore.path, "--jsonl"])
        #expect(run.status == 0, "\(run.errors)")
        let root = try #require(run.output.firstMatch(of: /"root": "([0-9a-f]{16})"/)).1
        #expect(try Binary.run(["verify-seal", ImportedStore.path, "--expect-seal", "1:\(root)"]).status == 0)
        let other = try Binary.run(["verify-seal", ImportedStore.path, "--expect-seal", "2:\(root)"])
        #expect(other.status == 1)
        #expect(other.errors.contains("expected 2:\(root)"))
        #expect(try Binary.run(["verify-seal", ImportedStore.path, "--expect-seal", "1:00"]).status == 64)
    }

    @Test func infoCountsWhatTheStoreHolds() throws {
        let run = try Binary.run(["info", ImportedStore.path, "--jsonl"])
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.output.contains("\"state\": \"sealed\", "))
        #expect(run.output.contains("\"origin\": \"imported\", "))
        #expect(run.output.contains("\"devices\": 20, "))
        #expect(run.output.contains("\"table_pages\": 247"))
    }

    @Test func theSchemaIsPrinted() throws {
        let run = try Binary.run(["schema"])
        #expect(run.status == 0)
        #expect(run.output.contains("CREATE TABLE attachment"))
        #expect(run.output.contains("CREATE VIEW area"))
    }
}
