import Foundation
import Testing

/// `migrate` with what there is, in every state. `MigrationTests` have a version to come.
@Suite struct MigrateVerbTests {
    /// The golden store of version 1.
    static let old = Fixtures.stores + "version-1.domstore"

    @Test func `a file of version 1 is told to be migrated, and its copy is good`() throws {
        let folder = try ScratchFolder()
        for verb in ["info", "check", "verify-seal", "mappings", "restore"] {
            let run = try Binary.run([verb, Self.old])
            #expect(run.status == 2, "\(verb)")
            let said = "format version 1 is older than 2, migrate it first"
            #expect((run.errors + run.output).contains(said), "\(verb): \(run.errors)\(run.output)")
        }
        let run = try Binary.run(["migrate", Self.old, "--to", folder["2.domstore"], "--format", "csv"])
        #expect(run.status == 0 && run.errors == "", "\(run.errors)")
        let row = try #require(run.lines.last)
        #expect(
            row.hasPrefix("1,migrated,1,2,7173b445e082fcfa,") && row.hasSuffix(",\(folder["2.domstore"])"), "\(row)")
        for verb in ["info", "check", "verify-seal"] {
            let run = try Binary.run([verb, folder["2.domstore"]])
            #expect(run.status == 0, "\(verb): \(run.errors)\(run.output)")
        }
        let mappings = try Binary.run(["mappings", folder["2.domstore"], "--format", "csv"])
        #expect(
            try Array(mappings.output.utf8) == ScratchFolder.bytes(at: Fixtures.stores + "version-1.mappings.csv"))
        let again = try Binary.run(["migrate", Self.old, "--to", folder["2.domstore"]])
        #expect(again.status == 2)
        #expect(
            again.errors
                == "domstore: \(folder["2.domstore"]): found a file; expected none, for nothing is replaced\n")
    }

    @Test func `a file of the newest version is said to be current, and nothing is written`() throws {
        let folder = try ScratchFolder()
        let run = try Binary.run(["migrate", SQLVerbTests.store, "--to", folder["out"], "--format", "csv"])
        #expect(run.status == 0 && run.errors == "")
        #expect(run.output == "generation,state,from,to,old_root,root,file\n1,current,2,2,,,\n")
        #expect(folder.names == [])
    }

    @Test(arguments: [InspectionTests.Journal.stray, .rolledBack])
    func `a hot journal is named`(journal: InspectionTests.Journal) throws {
        let folder = try InspectionTests.folder(journal)
        defer { chmod(folder.path, 0o755) }
        let run = try Binary.run(["migrate", folder["1.domstore"], "--to", folder["out"]])
        #expect(run.status == 0 && run.errors.contains("1.domstore: found a hot journal"), "\(run.errors)")
    }

    @Test func `of a directory every generation is told`() throws {
        let folder = try ScratchFolder()
        try FileManager.default.createDirectory(atPath: folder["in"], withIntermediateDirectories: false)
        let bytes = try ScratchFolder.bytes(at: SQLVerbTests.store)
        try folder.write(bytes, to: "in/1.domstore")
        try folder.write(bytes, to: "in/7.domstore")
        let run = try Binary.run(["migrate", folder["in"], "--to", folder["out"], "--jsonl"])
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.lines.count == 2 && run.lines.allSatisfy { $0.contains("\"state\": \"current\"") })
        let one = try Binary.run([
            "migrate", folder["in"], "--generation", "7", "--to", folder["one"], "--format", "csv",
        ])
        #expect(one.status == 0 && one.lines.count == 2)
        #expect(try Binary.run(["migrate", folder["in"], "--generation", "3", "--to", folder["one"]]).status == 2)
    }

    @Test func `of a directory with two versions the older one is migrated, and the other left alone`() throws {
        let folder = try ScratchFolder()
        try FileManager.default.createDirectory(atPath: folder["in"], withIntermediateDirectories: false)
        try folder.write(try ScratchFolder.bytes(at: Self.old), to: "in/1.domstore")
        try folder.write(try ScratchFolder.bytes(at: SQLVerbTests.store), to: "in/2.domstore")
        let run = try Binary.run(["migrate", folder["in"], "--to", folder["out"], "--format", "csv"])
        #expect(run.status == 0, "\(run.errors)")
        #expect(run.lines.map { $0.split(separator: ",")[1] } == ["state", "migrated", "current"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: folder["out"]) == ["1.domstore"])
    }

    @Test func `a version of the future names both versions, exit code 2`() throws {
        let folder = try ScratchFolder()
        var bytes = try ScratchFolder.bytes(at: SQLVerbTests.store)
        bytes[63] = 9
        try folder.write(bytes, to: "new")
        for arguments in [["migrate", folder["new"], "--to", folder["out"]], ["info", folder["new"]]] {
            let run = try Binary.run(arguments)
            #expect(run.status == 2)
            #expect(run.errors.contains("format version 9") && run.errors.contains("at most 2"), "\(run.errors)")
        }
        #expect(folder.names == ["new"])
    }

    @Test func `damage is refused, and a missing file is an error of IO`() throws {
        let folder = try ScratchFolder()
        var bytes = try ScratchFolder.bytes(at: SQLVerbTests.store)
        bytes[try #require(bytes.firstRange(of: Array("e1000e".utf8))).lowerBound] ^= 1
        try folder.write(bytes, to: "a")
        let run = try Binary.run(["migrate", folder["a"], "--to", folder["out"]])
        #expect(run.status == 2 && run.errors.contains("record-checksum"), "\(run.errors)")
        #expect(try Binary.run(["migrate", folder["none"], "--to", folder["out"]]).status == 3)
        #expect(try Binary.run(["migrate", folder["a"]]).status == 64)
        #expect(folder.names == ["a"])
    }
}
