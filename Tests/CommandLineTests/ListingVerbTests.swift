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

    @Test func mappingsEqualWhatTheKernelWasAskedFor() throws {
        let csv = try Binary.run(["mappings", ImportedStore.path, "--format", "csv"])
        let got = Set(csv.lines.dropFirst().filter { !$0.hasPrefix("0000:03:00.0,") })
        let truth = try Truth.runs(of: "vtd48").map { run in
            let last = run.iova + run.length - 1
            return "0000:\(run.bdf),,\(Truth.hex(run.iova)),\(Truth.hex(last)),\(Truth.hex(run.pa)),\(run.protection)"
        }
        #expect(truth.count > 500)
        #expect(got == Set(truth))
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
