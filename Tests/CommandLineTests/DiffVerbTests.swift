import Foundation
import Testing

/// `diff`, through the binary.
@Suite struct DiffVerbTests {
    private static let image = Fixtures.images + "vtd48.elf"

    private static func diff(_ arguments: [String]) throws -> (status: Int32, rows: [[String: Any]]) {
        let run = try Binary.run(["diff"] + arguments + ["--json"])
        let value = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
        return (run.status, value as? [[String: Any]] ?? [])
    }

    @Test func aStoreAndTheImageThatItWasReadFromAreOne() throws {
        let (status, rows) = try Self.diff([ImportedStore.path, Self.image])
        #expect(status == 0)
        #expect(rows.isEmpty)
    }

    @Test func oneDescriptionIsForWhateverIsAnImage() throws {
        let meta = ["--meta", Fixtures.images + "vtd48.json"]
        #expect(try Self.diff([ImportedStore.path, Self.image] + meta).status == 0)
        #expect(try Self.diff([Self.image, ImportedStore.path] + meta).status == 0)
        #expect(try Self.diff([Self.image, Self.image] + meta + meta).status == 0)
        for sides in [[ImportedStore.path, ImportedStore.path], [Self.image, ImportedStore.path]] {
            let run = try Binary.run(["diff"] + sides + meta + (sides[0] == Self.image ? meta : []))
            #expect(run.status == 2)
            #expect(run.errors.contains("found a store; --meta describes a memory image"))
        }
    }

    @Test func aDamagedImageDiffersByTheDamage() throws {
        let store = try Binary.run(["diff", Self.image, ImportedStore.path, "--patch", "reserved-bit"])
        #expect(store.status == 2)
        #expect(store.errors.contains("--patch changes a memory image"))
        let (found, differences) = try Self.diff([Self.image, Self.image, "--patch", "reserved-bit"])
        #expect(found == 1)
        #expect(differences.map { $0["kind"] as? String } == ["table-entry-changed", "mapping-gone"])
        let word = try #require(differences.first)
        #expect(word["address"] as? String == "0x0000000144d67008")
        #expect(word["before"] as? String == "0x0000000143000083")
        #expect(word["after"] as? String == "0x0000000143002083")
        #expect(differences.last?["requests"] as? String == "0000:01:00.0")
        #expect(differences.last?["iova"] as? String == "0x0000000000200000")
        #expect(differences.last?["last"] as? String == "0x00000000003fffff")
    }

    /// Userspace has rebuilt its tree, in other frames: one line, not one for each mapping.
    @Test func twoLiveUpdatesDifferByWhatWasRebuilt() throws {
        let folder = try ScratchFolder()
        let store = folder["out"]
        let run = try Binary.run(["handover", Fixtures.scenarios + "50-twice.json", "--store", store])
        #expect(run.status == 0)
        let (status, rows) = try Self.diff(["\(store)@1", "\(store)@2"])
        #expect(status == 1)
        let domains = rows.filter { ($0["kind"] as? String)?.hasPrefix("domain-") == true }
        #expect(!domains.isEmpty)
        for domain in domains {
            #expect((domain["message"] as? String)?.hasSuffix("the same translations") == true, "\(domain)")
        }
        #expect(!rows.contains { ($0["kind"] as? String)?.hasPrefix("mapping-") == true })
        #expect(try Self.diff([store, "\(store)@2"]).rows.isEmpty)
    }

    @Test func anOpenGenerationHasNoStateYet() throws {
        let handover = try SmallHandover()
        _ = try handover.run()
        let run = try Binary.run(["diff", "\(handover.store)@1", "\(handover.store)@2"])
        #expect(run.status == 2)
        #expect(run.output.isEmpty)
        #expect(run.errors.contains("@2: found no state"))
    }

    @Test func whatCannotBeReadIsSaid() throws {
        let missing = try Binary.run(["diff", "/nowhere", ImportedStore.path])
        #expect(missing.status == 3)
        #expect(missing.errors.contains("/nowhere"))
        let undescribed = try Binary.run(["diff", ImportedStore.path, Fixtures.images + "README.md"])
        #expect(undescribed.status == 3)
        #expect(undescribed.errors.contains("README.md.json"))
        #expect(try Binary.run(["diff", ImportedStore.path]).status == 64)
        let thrice = ["--meta", "a.json", "--meta", "b.json", "--meta", "c.json"]
        #expect(try Binary.run(["diff", Self.image, Self.image] + thrice).status == 64)
    }

    @Test func aTableNamesTheFirstOfManyRequests() throws {
        let run = try Binary.run(["diff", Fixtures.images + "vtdpasid.elf", Self.image])
        #expect(run.status == 1)
        #expect(run.lines.first?.hasPrefix("kind") == true)
        #expect(run.lines.contains { $0.hasPrefix("unit-changed") })
    }
}
