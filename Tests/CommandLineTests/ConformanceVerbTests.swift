import Testing

/// `conformance`, through the binary.
@Suite struct ConformanceVerbTests {
    @Test func allSecondStageVectorsPass() throws {
        let run = try Binary.run(["conformance", Fixtures.vectors + "vtdss.json"])
        #expect(run.status == 0)
        #expect(run.lines == ["101 passed, 0 failed, 0 skipped"])
    }

    @Test func severalFilesAreToldOneByOneAndTogether() throws {
        let files = ["vtdss.json", "lookup.json", "riscv.json"].map { Fixtures.vectors + $0 }
        let run = try Binary.run(["conformance"] + files)
        #expect(run.status == 0)
        try #require(run.lines.count == 4)
        #expect(zip(run.lines, files).allSatisfy { $0.hasPrefix($1) })
        #expect(run.lines[3].hasPrefix("11") && run.lines[3].contains(" passed, 0 failed, "))
    }

    @Test func oneAlteredAnswerFailsAndIsNamed() throws {
        let folder = try ScratchFolder()
        let text = String(decoding: try ScratchFolder.bytes(at: Fixtures.vectors + "vtdss.json"), as: UTF8.self)
        let answer = try #require(text.firstRange(of: "\"pa\": \"0x"))
        let altered = text[..<answer.upperBound] + "1" + text[answer.upperBound...].dropFirst()
        try folder.write(altered.utf8, to: "altered.json")
        let run = try Binary.run(["conformance", folder["altered.json"]])
        #expect(run.status == 1)
        try #require(run.lines.count == 2)
        #expect(run.lines[0].contains("expected") && run.lines[0].contains("got"))
        #expect(run.lines[1] == "100 passed, 1 failed, 0 skipped")
    }

    @Test func whatIsNoVectorFileIsRefusedInOneLine() throws {
        let folder = try ScratchFolder()
        try folder.write("no vectors".utf8, to: "text")
        for (name, status) in [("text", 2), ("missing", 3), ("", 2)] as [(String, Int32)] {
            let run = try Binary.run(["conformance", folder[name]])
            #expect(run.status == status)
            #expect(run.output == "")
            #expect(run.errors.hasPrefix("domstore: \(folder[name]): "))
            #expect(run.errors.split(separator: "\n").count == 1)
        }
    }
}
