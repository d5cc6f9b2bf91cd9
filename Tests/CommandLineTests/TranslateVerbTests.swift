import Foundation
import Testing

/// `translate`, through the binary.
@Suite struct TranslateVerbTests {
    static func translate(_ arguments: String...) throws -> (status: Int32, object: [String: Any]) {
        let run = try Binary.run(["translate", ImportedStore.path, "--json"] + arguments)
        let value = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
        return (run.status, value as? [String: Any] ?? [:])
    }

    @Test func aWalkIsShownLevelByLevelAndEndsInAnAddress() throws {
        let (status, object) = try Self.translate("01:00.0", "0x200123")
        #expect(status == 0)
        let steps = object["steps"] as? [[String: Any]] ?? []
        #expect(
            steps.map { $0["step"] as? String } == [
                "root entry", "context entry", "level 3 entry", "level 2 entry", "level 1 entry",
            ])
        #expect(steps.last?["address"] as? String == "0x0000000144d67008")
        #expect(steps.last?["value"] as? String == "0x0000000143000083")
        #expect(object["outcome"] as? String == "address")
        #expect(object["address"] as? String == "0x0000000143000123")
        #expect(object["page_size"] as? Int == 2 << 20)
        #expect(object["protection"] as? String == "rw")
    }

    @Test func theTableEndsInTheResult() throws {
        let run = try Binary.run(["translate", ImportedStore.path, "0000:01:00.0", "0x200123"])
        #expect(run.status == 0)
        #expect(run.lines.count == 7)
        #expect(run.lines[6] == "0000:01:00.0 read 0x0000000000200123: 0x0000000143000123 (rw, 2M page)")
    }

    @Test func aFaultIsShownAndExits1() throws {
        let (status, object) = try Self.translate("01:00.0", "0x5000000000", "--write")
        #expect(status == 1)
        #expect(object["outcome"] as? String == "fault")
        #expect(object["access"] as? String == "write")
        #expect(object["fault"] as? Int == 5)
        #expect(object["address"] as? String == "0x0000000144d79a00")
    }

    @Test func aReadOnlyPageRefusesTheWriteOnly() throws {
        #expect(try Self.translate("01:00.0", "0x100000").status == 0)
        #expect(try Self.translate("01:00.0", "0x100000", "--write").object["fault"] as? Int == 5)
    }

    @Test func aDeviceWithoutAnEntryFaults() throws {
        let (status, object) = try Self.translate("00:0a.0", "0")
        #expect(status == 1)
        #expect(object["fault"] as? Int == 2)
    }

    @Test func theInterruptWindowIsNoWalk() throws {
        let (status, object) = try Self.translate("01:00.0", "0xfee00000", "--write")
        #expect(status == 0)
        #expect(object["outcome"] as? String == "interrupt")
        #expect((object["steps"] as? [Any])?.isEmpty == true)
    }

    @Test func aSegmentWithoutAUnitIsAnErrorOfTheInput() throws {
        let run = try Binary.run(["translate", ImportedStore.path, "0001:00:00.0", "0"])
        #expect(run.status == 2)
        #expect(run.errors.hasPrefix("domstore: \(ImportedStore.path): found no unit on segment 1"))
    }
}
