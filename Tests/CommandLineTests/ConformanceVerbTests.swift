import Testing

/// `conformance`, through the binary.
@Suite struct ConformanceVerbTests {
    /// What there is of each file: the vectors of Arm's stage 1 and RISC-V are skipped.
    static let counts = [
        ("vtdss", 101, 0), ("amdv1", 135, 0), ("x86_64", 104, 0), ("armv8_s2", 102, 6),
        ("lookup", 44, 21), ("riscv", 0, 134),
    ]

    @Test(arguments: counts)
    func allVectorsOfAFilePass(name: String, passed: Int, skipped: Int) throws {
        let run = try Binary.run(["conformance", Fixtures.vectors + name + ".json"])
        #expect(run.status == 0)
        #expect(run.lines == ["\(passed) passed, 0 failed, \(skipped) skipped"])
    }

    @Test func severalFilesAreToldOneByOneAndTogether() throws {
        let files = Self.counts.map { Fixtures.vectors + $0.0 + ".json" }
        let run = try Binary.run(["conformance"] + files)
        #expect(run.status == 0)
        try #require(run.lines.count == files.count + 1)
        for (line, (file, counts)) in zip(run.lines, zip(files, Self.counts)) {
            #expect(line == "\(file): \(counts.1) passed, 0 failed, \(counts.2) skipped")
        }
        #expect(run.lines.last == "486 passed, 0 failed, 161 skipped")
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
