import Foundation
import Glibc
import Testing

/// `import`, through the binary.
@Suite struct ImportVerbTests {
    static let meta = Fixtures.images + "vtd48.json"
    static let image = Fixtures.images + "vtd48.elf"
    static let registers = ["rtaddr=0x143ff5000", "cap=0xd2008c222f0606", "ecap=0xf42", "gsts=0xc4000000"]

    static func mappings(_ store: String) throws -> String {
        try Binary.run(["mappings", store, "--format", "csv"]).output
    }

    @Test func registersOnTheCommandLineGiveTheSameMappings() throws {
        let folder = try ScratchFolder()
        let run = try Binary.run(
            ["import", Self.image, "--iommu", "intel-vtd", "--register"] + Self.registers
                + ["--platform", "haw=48", "--store", folder["x.domstore"]])
        #expect(run.status == 0, "\(run.errors)")
        #expect(try Self.mappings(folder["x.domstore"]) == Self.mappings(ImportedStore.path))
    }

    @Test func aRawImageGivesTheSameMappings() throws {
        let folder = try ScratchFolder()
        let base: UInt64 = 0x1_4000_0000
        try RawImage.write(core: Self.image, from: base, to: folder["raw"])
        let run = try Binary.run([
            "import", folder["raw"], "--base", Truth.hex(base), "--meta", Self.meta, "--store", folder["x.domstore"],
        ])
        #expect(run.status == 0, "\(run.errors)")
        #expect(try Self.mappings(folder["x.domstore"]) == Self.mappings(ImportedStore.path))
    }

    @Test func anExistingFileIsRefusedUnlessForced() throws {
        let folder = try ScratchFolder()
        try folder.write("precious".utf8, to: "x.domstore")
        let refused = try Binary.run(["import", "--meta", Self.meta, "--store", folder["x.domstore"]])
        #expect(refused.status == 3)
        #expect(refused.errors.hasPrefix("domstore: \(folder["x.domstore"]): "))
        #expect(refused.errors.contains("--force"))
        #expect(try folder.bytes(of: "x.domstore") == Array("precious".utf8))
        let forced = try Binary.run(["import", "--meta", Self.meta, "--store", folder["x.domstore"], "--force"])
        #expect(forced.status == 0, "\(forced.errors)")
        #expect(try Self.mappings(folder["x.domstore"]) == Self.mappings(ImportedStore.path))
        #expect(folder.names == ["x.domstore"])
    }

    @Test func aDirectoryIsAppendedTo() throws {
        let folder = try ScratchFolder()
        for number in 1...2 {
            let run = try Binary.run(["import", "--meta", Self.meta, "--store", folder.path, "--jsonl"])
            #expect(run.status == 0, "\(run.errors)")
            #expect(run.output.contains("\"generation\": \(number), "))
        }
        #expect(folder.names == ["1.domstore", "2.domstore"])
        let list = try Binary.run(["generations", folder.path, "--format", "csv"])
        #expect(list.lines.count == 3)
        let info = try Binary.run(["info", folder.path, "--generation", "1", "--jsonl"])
        #expect(info.output.contains("\"generation\": 1, "))
        #expect(try Binary.run(["info", folder.path, "--jsonl"]).output.contains("\"generation\": 2, "))
        #expect(try Binary.run(["info", folder.path, "--generation", "3"]).status == 2)
    }

    @Test(arguments: [
        ("reserved-bit", "table-reserved-bits", "0x0000000144d67008"),
        ("pointer-outside", "table-outside-memory", "0x0000000144d56018"),
    ])
    func aPatchShowsAsItsFinding(name: String, rule: String, address: String) throws {
        let folder = try ScratchFolder()
        let store = folder["x.domstore"]
        let run = try Binary.run(["import", "--meta", Self.meta, "--patch", name, "--store", store])
        #expect(run.status == 0, "\(run.errors)")
        let check = try Binary.run(["check", store, "--json"])
        #expect(check.status == 1)
        let findings = try JSONSerialization.jsonObject(with: Data(check.output.utf8)) as? [[String: Any]] ?? []
        #expect(findings.contains { $0["rule"] as? String == rule && $0["address"] as? String == address })
        #expect(findings.allSatisfy { ($0["severity"] as? String != "error") || ($0["rule"] as? String == rule) })
    }

    /// Every damage of the meta file but `aw-wrong`, which no rule can be sure of: rule and address, as `check` prints them.
    @Test(arguments: [
        "reserved-bit table-reserved-bits,error,0000:01:00.0,,0x0000000144d67008,",
        "pointer-outside table-outside-memory,error,0000:01:00.0,,0x0000000144d56018,",
        "cleared-present table-non-zero-not-present,warning,0000:01:00.0,,0x0000000144d79400,",
        "loop table-reused,error,0000:01:00.0,,0x0000000144d56048,",
        "aw-unsupported vtd-context-address-width,error,0000:01:00.0,,0x0000000144273008,",
    ])
    func everyDamageIsFoundAtItsEntry(damage: String) throws {
        let folder = try ScratchFolder()
        let parts = damage.split(separator: " ").map(String.init)
        let store = folder["x.domstore"]
        let run = try Binary.run(["import", "--meta", Self.meta, "--patch", parts[0], "--store", store])
        #expect(run.status == 0, "\(run.errors)")
        let check = try Binary.run(["check", store, "--format", "csv"])
        #expect(check.status == (parts[1].contains(",error,") ? 1 : 0))
        #expect(check.lines.count { $0.hasPrefix(parts[1]) } == 1)
    }

    @Test func whatIsNoImageIsRefusedAndLeavesNothingBehind() throws {
        let folder = try ScratchFolder()
        let image = try ScratchFolder.bytes(at: Self.image)
        try folder.write("not an ELF file".utf8, to: "text")
        try folder.write(image.prefix(40), to: "short")
        try folder.write(image.prefix(300_000), to: "cut")
        symlink(Self.image, folder["link"])
        let cases: [(image: String, extra: [String], status: Int32)] = [
            (folder["text"], [], 2), (folder["short"], [], 2), (folder["cut"], [], 2), (folder["link"], [], 2),
            (folder["missing"], [], 3), (folder.path, [], 2), (Self.image, ["--patch", "no-such"], 2),
        ]
        let before = folder.names
        for (image, extra, status) in cases {
            let run = try Binary.run(
                ["import", image, "--meta", Self.meta, "--store", folder["x.domstore"]] + extra)
            #expect(run.status == status, "\(image) \(extra): \(run.errors)")
            #expect(run.errors.hasPrefix("domstore: "))
            #expect(run.errors.split(separator: "\n").count == 1)
            #expect(run.output == "")
            #expect(folder.names == before)
        }
    }

    @Test func aRootRegisterOutsideMemoryIsRefused() throws {
        let folder = try ScratchFolder()
        let run = try Binary.run(
            ["import", Self.image, "--iommu", "intel-vtd", "--register", "rtaddr=0x7770000000"]
                + Self.registers.dropFirst() + ["--store", folder["x.domstore"]])
        #expect(run.status == 2)
        #expect(run.errors.contains("rtaddr"))
        #expect(folder.names == [])
    }

    @Test func aKindOfUnitThatIsNotBuiltIsToldSo() throws {
        let folder = try ScratchFolder()
        let run = try Binary.run([
            "import", Self.image, "--iommu", "riscv", "--register", "ddtp=0x1", "--store", folder["x.domstore"],
        ])
        #expect(run.status == 2)
        #expect(run.errors.hasSuffix("import of riscv is not built yet\n"), "\(run.errors)")
        #expect(folder.names == [])
    }

    @Test func anOutputThatCannotBeWrittenIsAnErrorOfIO() throws {
        let folder = try ScratchFolder()
        let run = try Binary.run(["import", "--meta", Self.meta, "--store", folder["no-such/x.domstore"]])
        #expect(run.status == 3)
        #expect(run.errors.hasPrefix("domstore: \(folder["no-such/x.domstore"]): "))
    }

    @Test(arguments: [
        ["import", "i", "--store", "o"], ["import", "--meta", "m", "--iommu", "intel-vtd", "--store", "o"],
        ["import", "i", "--iommu", "intel-vtd", "--register", "rtaddr", "--store", "o"],
        ["import", "i", "--iommu", "vtd", "--register", "rtaddr=1", "--store", "o"],
        ["import", "i", "--iommu", "intel-vtd", "--register", "rtaddr=1", "--patch", "p", "--store", "o"],
        ["import", "i", "--iommu", "intel-vtd", "--register", "rtaddr=1", "rtaddr=2", "--store", "o"],
        ["import", "--meta", "m", "--platform", "haw=99", "--store", "o"],
        ["import", "--meta", "m", "--platform", "color=1", "--store", "o"],
    ])
    func contradictoryArgumentsAreWrongUsage(arguments: [String]) throws {
        #expect(try Binary.run(arguments).status == 64)
    }
}

/// Makes a raw image of an ELF core: a sparse file whose first byte is at a physical address.
enum RawImage {
    static func write(core path: String, from base: UInt64, to output: String) throws {
        let bytes = try ScratchFolder.bytes(at: path)
        func word(_ offset: Int, _ size: Int) -> UInt64 {
            (0..<size).reduce(0) { $0 | UInt64(bytes[offset + $1]) << UInt64(8 * $1) }
        }
        let descriptor = open(output, O_WRONLY | O_CREAT | Int32(O_CLOEXEC), 0o600)
        defer { close(descriptor) }
        let table = Int(word(32, 8))
        for index in 0..<Int(word(56, 2)) {
            let header = table + index * Int(word(54, 2))
            let address = word(header + 24, 8)
            guard word(header, 4) == 1, address >= base else { continue }
            let start = Int(word(header + 8, 8))
            let piece = Array(bytes[start..<start + Int(word(header + 32, 8))])
            guard pwrite(descriptor, piece, piece.count, Int(address - base)) == piece.count else {
                throw Binary.Problem(call: "pwrite")
            }
        }
    }
}
