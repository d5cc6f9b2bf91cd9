import Glibc
import IOMMUModel
import PageTables
import Testing

@testable import Import

@Suite("ELF cores and raw images")
struct ELFCoreTests {
    static func layout(_ bytes: [UInt8], length: Int? = nil) throws(ImportError) -> [ELFCore.Segment] {
        try bytes.withUnsafeBytes { buffer -> Result<[ELFCore.Segment], ImportError> in
            let part = UnsafeRawBufferPointer(rebasing: buffer[..<(length ?? buffer.count)])
            return Result { () throws(ImportError) in try ELFCore.layout(of: part, path: "core") }
        }.get()
    }

    /// A page whose word `n` is `first + n`.
    static func page(_ first: UInt64) -> [UInt8] {
        (0..<512).flatMap { index in withUnsafeBytes(of: (first + index).littleEndian) { Array($0) } }
    }

    @Test("A real core is read segment by segment, ascending")
    func realCore() throws {
        let bytes = try Fixtures.bytes(Fixtures.image("vtd48.elf"))
        let segments = try Self.layout(bytes)
        #expect(segments.count == 67)
        #expect(segments.first?.range.first == PhysicalAddress(0x160_8000))
        #expect(segments.reduce(0) { $0 + $1.byteCount } == UInt64(bytes.count) - 4096)
        let memory = try ELFCore.open(Fixtures.image("vtd48.elf"))
        // The root entry of bus 0, as `od` shows it.
        #expect(memory.word(at: PhysicalAddress(0x1_43ff_5000))! & 1 == 1)
        #expect(memory.word(at: PhysicalAddress(0)) == nil)
    }

    @Test("What the file does not hold of a segment is absent, not zero")
    func partlyPresent() throws {
        let load = ELFBuilder.Load(address: 0x10000, bytes: Self.page(7), memoryBytes: 0x2000)
        let empty = ELFBuilder.Load(address: 0x1_0000_0000, bytes: [], memoryBytes: 0x1000)
        var builder = ELFBuilder([load, empty])
        builder.padding = 8
        try Fixtures.withFile(builder.build()) { path in
            let memory = try ELFCore.open(path)
            #expect(memory.word(at: PhysicalAddress(0x10008)) == 8)
            #expect(memory.word(at: PhysicalAddress(0x11000)) == nil)
            #expect(memory.word(at: PhysicalAddress(0x1_0000_0000)) == nil)
            #expect(memory.segments.count == 1)
        }
    }

    @Test("A segment that does not lie on a word in the file is read all the same", arguments: 0..<8)
    func misaligned(padding: Int) throws {
        var builder = ELFBuilder([
            .init(address: 0x10000, bytes: Self.page(1)), .init(address: 0x20000, bytes: Self.page(9)),
        ])
        builder.padding = padding
        try Fixtures.withFile(builder.build()) { path in
            let memory = try ELFCore.open(path)
            #expect(memory.word(at: PhysicalAddress(0x10ff8)) == 512)
            #expect(memory.page(at: PhysicalAddress(0x20000))?[1] == 10)
            if padding != 0 {
                #expect(throws: ImportError.self) { try ELFCore.open(path, sharing: .shared) }
            }
        }
    }

    @Test("Writes to a private image stay in the process, writes to a shared one reach the file")
    func sharing() throws {
        try Fixtures.withFile(ELFBuilder([.init(address: 0x10000, bytes: Self.page(0))]).build()) { path in
            let word = PhysicalAddress(0x10000)
            let mine = try ELFCore.open(path)
            #expect(mine.setWord(77, at: word))
            #expect(mine.word(at: word) == 77)
            #expect(try ELFCore.open(path).word(at: word) == 0)
            let shared = try ELFCore.open(path, sharing: .shared)
            #expect(shared.setWord(88, at: word))
            #expect(try ELFCore.open(path).word(at: word) == 88)
        }
    }

    @Test("Each thing that is wrong with an ELF file is named with offset, found and expected")
    func errors() throws {
        let good = ELFBuilder([.init(address: 0x10000, bytes: Self.page(0))])
        func expect(
            _ offset: UInt64, _ expected: String, _ location: SourceLocation = #_sourceLocation,
            change: (inout ELFBuilder) -> Void
        ) {
            var builder = good
            change(&builder)
            do throws(ImportError) {
                _ = try Self.layout(builder.build())
                Issue.record("accepted", sourceLocation: location)
            } catch {
                guard case .elf(_, let found, _, _, _) = error else {
                    Issue.record("\(error)", sourceLocation: location)
                    return
                }
                #expect(found == offset, "\(error)", sourceLocation: location)
                #expect(error.description.contains(expected), "\(error)", sourceLocation: location)
                #expect(!error.description.contains("\n"), sourceLocation: location)
                #expect(!error.isInputOutput, sourceLocation: location)
            }
        }
        expect(4, "class: found 1, expected 2 (64-bit)") { $0.fileClass = 1 }
        expect(5, "byte order: found 2, expected 1 (little-endian)") { $0.byteOrder = 2 }
        expect(6, "version: found 9, expected 1") { $0.version = 9 }
        expect(16, "file type: found 2, expected 4 (core)") { $0.type = 2 }
        expect(54, "e_phentsize: found 32, expected 56") { $0.entryBytes = 32 }
        expect(56, "e_phnum: found 0") { $0.count = 0 }
        expect(32, "program header table: found 1000 headers") { $0.count = 1000 }
        expect(32, "program header table") { $0.tableOffset = .max }
        expect(40, "section header 0") {
            $0.count = 0xffff
            $0.sectionOffset = .max - 10
        }
        expect(72, "PT_LOAD at 0x0000000000010000") { $0.loads[0].fileOffset = 0x10_0000 }
        expect(72, "PT_LOAD") { $0.loads[0].fileOffset = .max }
        expect(72, "PT_LOAD") {
            $0.loads[0].fileBytes = .max
            $0.loads[0].memoryBytes = .max
        }
        expect(96, "p_filesz: found 0x1000, expected at most p_memsz = 0xfff") { $0.loads[0].memoryBytes = 0xfff }
        expect(88, "p_paddr") { $0.loads[0].address = .max - 0xffe }
        expect(88, "p_paddr") { $0.loads[0].memoryBytes = .max }
        expect(120, "no overlap with 0x0000000000010000-0x0000000000010fff (program header at 0x40)") {
            $0.loads.append(.init(address: 0x10fff, bytes: [1, 2]))
        }
        expect(64, "no PT_LOAD with bytes") { $0.loads[0].bytes = [] }
        #expect(throws: ImportError.notELF(path: "core")) { try Self.layout([]) }
        #expect(throws: ImportError.notELF(path: "core")) { try Self.layout(Array("SQLite format 3".utf8)) }
        do throws(ImportError) {
            _ = try Self.layout(good.build(), length: 20)
            Issue.record("accepted")
        } catch {
            #expect(error.description == "core: offset 0x0: ELF header: found 20 bytes, expected 64")
        }
    }

    @Test("A file with more than 65,534 program headers keeps their number in section header 0")
    func extendedNumbering() throws {
        var bytes = ELFBuilder([.init(address: 0x10000, bytes: Self.page(3))]).build()
        let sections = bytes.count
        bytes += [UInt8](repeating: 0, count: 64)
        bytes[sections + 44] = 1
        withUnsafeBytes(of: UInt64(sections).littleEndian) { bytes.replaceSubrange(40..<48, with: $0) }
        bytes[56] = 0xff
        bytes[57] = 0xff
        #expect(try Self.layout(bytes).map(\.range.first) == [PhysicalAddress(0x10000)])
    }

    @Test("Files that are not files of memory each have their own error")
    func files() throws {
        #expect(throws: ImportError.cannotOpen(path: "/nonexistent/x", errno: ENOENT)) {
            try ELFCore.open("/nonexistent/x")
        }
        #expect(ImportError.cannotOpen(path: "x", errno: ENOENT).isInputOutput)
        #expect(throws: ImportError.notARegularFile(path: "/tmp")) { try ELFCore.open("/tmp") }
        #expect(throws: ImportError.notARegularFile(path: "/dev/null")) { try ELFCore.open("/dev/null") }
        try Fixtures.withFile([]) { path in
            #expect(throws: ImportError.notELF(path: path)) { try ELFCore.open(path) }
            let link = path + ".link"
            symlink(path, link)
            defer { unlink(link) }
            #expect(throws: ImportError.symbolicLink(path: link)) { try ELFCore.open(link) }
            #expect(throws: ImportError.symbolicLink(path: link)) { try ImageMetadata(file: link) }
            #expect(throws: ImportError.symbolicLink(path: link)) { try AreaCSV.read(file: link) }
            #expect(throws: ImportError.rawBase(path: path, base: PhysicalAddress(0), bytes: 0)) {
                try RawImage.open(path, base: PhysicalAddress(0))
            }
        }
    }

    @Test("A raw image lies at its base")
    func raw() throws {
        try Fixtures.withFile(Self.page(5)) { path in
            let memory = try RawImage.open(path, base: PhysicalAddress(0x7000))
            #expect(memory.word(at: PhysicalAddress(0x7008)) == 6)
            #expect(memory.word(at: PhysicalAddress(0x8000)) == nil)
            for base: UInt64 in [0x7008, 0xffff_ffff_ffff_f000 + 8, .max] {
                #expect(throws: ImportError.self) { try RawImage.open(path, base: PhysicalAddress(base)) }
            }
            #expect(
                try RawImage.open(path, base: PhysicalAddress(0xffff_ffff_ffff_f000))
                    .word(at: PhysicalAddress(0xffff_ffff_ffff_fff8)) == 516)
        }
    }

    @Test("20,000 changed or cut-off headers never trap")
    func fuzz() throws {
        let bytes = try Fixtures.bytes(Fixtures.image("vtd48.elf"))
        var generator = SeededGenerator(seed: 0x5eed_e1f)
        var accepted = 0
        var refused = 0
        var mutated = bytes
        for round in 0..<20_000 {
            var length = bytes.count
            var changed: [Int] = []
            if round % 4 == 0 { length = Int.random(in: 0...(round % 8 == 0 ? 4096 : bytes.count), using: &generator) }
            for _ in 0..<Int.random(in: 0...3, using: &generator) {
                let index = Int.random(in: 0..<(round % 2 == 0 ? 200 : 0xf20), using: &generator)
                mutated[index] = UInt8.random(in: 0...255, using: &generator)
                changed.append(index)
            }
            do throws(ImportError) {
                let segments = try Self.layout(mutated, length: length)
                accepted += 1
                for segment in segments where segment.fileOffset + segment.byteCount > UInt64(length) {
                    Issue.record("round \(round): \(segment) is not inside \(length) bytes")
                }
            } catch {
                refused += 1
            }
            for index in changed { mutated[index] = bytes[index] }
        }
        #expect(accepted > 1000 && refused > 5000, "\(accepted) accepted, \(refused) refused")
    }
}
