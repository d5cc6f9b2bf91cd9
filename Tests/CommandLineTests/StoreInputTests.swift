import Glibc
import Testing

/// What is no usable store gives one clear line and its exit code, from every verb that reads one.
@Suite struct StoreInputTests {
    static let verbs = [
        ["info"], ["units"], ["areas"], ["tables"], ["events"], ["mappings"], ["check"], ["verify-seal"],
        ["generations"],
    ]

    static func expect(_ store: String, _ status: Int32, _ words: String = "") throws {
        for verb in verbs {
            let run = try Binary.run(verb + [store])
            #expect(run.status == status, "\(verb) \(store): \(run.errors)")
            #expect(run.output == "")
            #expect(run.errors.hasPrefix("domstore: \(store): "), "\(run.errors)")
            #expect(words.isEmpty || run.errors.contains(words))
            #expect(run.errors.split(separator: "\n").count == 1)
        }
    }

    static func altered(_ folder: ScratchFolder, at offset: Int, to bytes: [UInt8]) throws -> String {
        var store = try ScratchFolder.bytes(at: ImportedStore.path)
        store.replaceSubrange(offset..<offset + bytes.count, with: bytes)
        try folder.write(store, to: "altered.domstore")
        return folder["altered.domstore"]
    }

    @Test func aMissingFileIsAnErrorOfIO() throws { try Self.expect("/no/such/store.domstore", 3) }

    @Test func aTextIsNoStore() throws {
        let folder = try ScratchFolder()
        try folder.write("hello".utf8, to: "text")
        try Self.expect(folder["text"], 2)
    }

    @Test func theStoreOfAnotherApplicationIsRefused() throws {
        let folder = try ScratchFolder()
        try Self.expect(try Self.altered(folder, at: 68, to: [0, 0, 0, 0]), 2)
    }

    @Test func aNewerSchemaIsRefused() throws {
        let folder = try ScratchFolder()
        try Self.expect(try Self.altered(folder, at: 60, to: [0, 0, 0, 99]), 2, "99")
    }

    @Test func aByteFlippedInTheHeaderIsRefused() throws {
        let folder = try ScratchFolder()
        try Self.expect(try Self.altered(folder, at: 16, to: [0xff]), 2)
    }

    @Test func aTruncatedStoreIsRefused() throws {
        let folder = try ScratchFolder()
        try folder.write(try ScratchFolder.bytes(at: ImportedStore.path).dropLast(4096), to: "cut.domstore")
        try Self.expect(folder["cut.domstore"], 2)
    }

    @Test func aSymbolicLinkIsRefused() throws {
        let folder = try ScratchFolder()
        symlink(ImportedStore.path, folder["link.domstore"])
        try Self.expect(folder["link.domstore"], 2, "symbolic link")
    }

    @Test func anEmptyDirectoryIsRefused() throws {
        let folder = try ScratchFolder()
        try Self.expect(folder.path, 2)
    }

    @Test func aByteFlippedInAChunkIsAFindingOfItsRecord() throws {
        let folder = try ScratchFolder()
        // An area of one page, first and last IOVA as the chunk holds them: big-endian.
        let store = try ScratchFolder.bytes(at: ImportedStore.path)
        let record: [UInt8] = [0, 0, 0, 0, 0, 0x10, 0, 0, 0, 0, 0, 0, 0, 0x10, 0x0f, 0xff]
        let offset = try #require(store.firstRange(of: record)).lowerBound
        let altered = try Self.altered(folder, at: offset + 6, to: [0x01])
        let check = try Binary.run(["check", altered, "--format", "csv"])
        #expect(check.status == 1, "\(check.errors)")
        #expect(check.output.contains("record-checksum,error,"))
        #expect(try Binary.run(["verify-seal", altered]).status == 1)
        // Listings go on, and say so.
        let areas = try Binary.run(["areas", altered])
        #expect(areas.status == 1 && areas.lines.count == 519)
        #expect(areas.errors.contains("area_chunk") && areas.errors.split(separator: "\n").count == 1)
        #expect(try Binary.run(["mappings", altered]).lines == Binary.run(["mappings", ImportedStore.path]).lines)
    }

    @Test func aByteFlippedInATableChunkLeavesTheOtherDomainsListed() throws {
        let folder = try ScratchFolder()
        let directory = try Binary.run(
            program: "sqlite3",
            [ImportedStore.path, "SELECT hex(directory) FROM table_chunk WHERE domain = 1 LIMIT 1"])
        #expect(directory.errors == "")
        let bytes = stride(from: 0, to: min(directory.output.count - 1, 128), by: 2).compactMap { place in
            UInt8(directory.output.dropFirst(place).prefix(2), radix: 16)
        }
        let store = try ScratchFolder.bytes(at: ImportedStore.path)
        try #require(bytes.count >= 16)
        let offset = try #require(store.firstRange(of: bytes)?.lowerBound)
        let altered = try Self.altered(folder, at: offset, to: [bytes[0] ^ 1])
        let all = Set(try Binary.run(["mappings", ImportedStore.path]).lines)
        let rest = try Binary.run(["mappings", altered])
        #expect(rest.status == 1)
        #expect(rest.errors.contains("table_chunk"), "\(rest.errors)")
        #expect(rest.lines.count > 100 && Set(rest.lines).isSubset(of: all))
        #expect(try Binary.run(["translate", altered, "01:00.0", "0x200000"]).output.contains("0x0000000143000000"))
        #expect(try Binary.run(["tables", altered]).lines.count > 100)
    }
}
