import Foundation
import Testing

/// The verbs that list what a store holds, on a real kernel's tables.
@Suite struct ListingVerbTests {
    static let verbs = [
        "units", "devices", "groups", "domains", "attachments", "ioas", "areas", "tables", "generations", "events",
        "mappings", "check",
    ]

    @Test(arguments: verbs)
    func allFormsOfAListingSayTheSame(verb: String) throws {
        let table = try Binary.run([verb, ImportedStore.path])
        let csv = try Binary.run([verb, ImportedStore.path, "--format", "csv"])
        let lines = try Binary.run([verb, ImportedStore.path, "--jsonl"])
        let array = try ImportedStore.list(verb)
        #expect(table.status == 0 && csv.status == 0 && lines.status == 0, "\(table.errors)")
        #expect(table.lines.count == array.count + 1)
        #expect(csv.lines.count == array.count + 1)
        #expect(lines.lines.count == array.count)
        let columns = csv.lines[0].split(separator: ",").map(String.init)
        #expect(table.lines[0].split(separator: " ").map(String.init) == columns)
        for (line, object) in zip(lines.lines, array) {
            let one = try JSONSerialization.jsonObject(with: Data(line.utf8)) as? NSDictionary
            #expect(one == object as NSDictionary)
            #expect(Set(object.keys) == Set(columns))
        }
        // Keys stand in the order of the columns.
        if let first = lines.lines.first {
            let places = try columns.map { try #require(first.firstRange(of: "\"\($0)\": ")).lowerBound }
            #expect(places == places.sorted())
        }
    }

    @Test(arguments: verbs)
    func aTableFitsANarrowTerminal(verb: String) throws {
        let run = try Binary.runOnTerminal([verb, ImportedStore.path, "--color", "never"], columns: 100)
        #expect(run.lines.allSatisfy { $0.count <= 100 })
    }

    @Test func theMachineIsListedWhole() throws {
        #expect(try ImportedStore.list("units").count == 1)
        let devices = try ImportedStore.list("devices")
        #expect(devices.count == 20)
        #expect(devices.count { $0["function"] as? Int == 0 } == 1)
        #expect(try ImportedStore.list("attachments").count == 20)
        #expect(try ImportedStore.list("attachments").allSatisfy { $0["pasid"] is NSNull })
        // sl4 + sl3 + sl2 + sl1 of the image's description.
        #expect(try ImportedStore.list("tables").count == 14 + 12 + 22 + 199)
        #expect(try ImportedStore.list("generations").count == 1)
    }

    @Test func mappingsAreFilteredByDeviceAndPASID() throws {
        let all = try ImportedStore.list("mappings")
        let one = try ImportedStore.list("mappings", "--device", "01:00.0")
        #expect(!one.isEmpty && one.count < all.count)
        #expect(one.allSatisfy { $0["device"] as? String == "0000:01:00.0" })
        #expect(try ImportedStore.list("mappings", "--pasid", "-").count == all.count)
        #expect(try ImportedStore.list("mappings", "--pasid", "0").isEmpty)
        #expect(try ImportedStore.list("mappings", "--device", "7f:00.0").isEmpty)
    }

    /// Both ways: nothing is missing, and nothing is there but the mappings of a bridge's alias.
    @Test(arguments: [
        ("vtd48", 597, "03:00.0"), ("vtdpasid", 913, nil), ("amdv1", 615, "02:00.0"), ("smmuv3s2", 801, nil),
    ])
    func mappingsEqualWhatTheKernelWasAskedFor(image: String, count: Int, alias: String?) throws {
        let folder = try ScratchFolder()
        let store = folder["x.domstore"]
        let run = try Binary.run(["import", "--meta", Fixtures.images + image + ".json", "--store", store])
        try #require(run.status == 0, "\(run.errors)")
        var got = try Truth.runs(ofMappings: Binary.run(["mappings", store, "--format", "csv"]).output)
        if let alias { #expect(got.removeValue(forKey: alias) != nil) }
        let truth = try Truth.runs(of: image)
        #expect(truth.count == count)
        #expect(got == Dictionary(grouping: truth, by: \.bdf))
        #expect(try Binary.run(["check", store]).status == 0)
    }

    @Test func nothingThatReadsAStoreChangesIt() throws {
        let folder = try ScratchFolder()
        try folder.write(try ScratchFolder.bytes(at: ImportedStore.path), to: "1.domstore")
        let before = try folder.bytes(of: "1.domstore")
        for verb in Self.verbs + ["info", "verify-seal"] {
            #expect(try Binary.run([verb, folder["1.domstore"]]).status == 0)
            #expect(try Binary.run([verb, folder.path]).status == 0)
        }
        #expect(try Binary.run(["translate", folder.path, "01:00.0", "0x200000"]).status == 0)
        #expect(folder.names == ["1.domstore"])
        #expect(try folder.bytes(of: "1.domstore") == before)
    }
}
