import IOMMUModel
import SQLite
import Snapshot

@testable import Store

extension Example {
    /// Bytes that the fields give at the places that the document's own table of offsets names; unnamed bytes are zero.
    private func placed(_ heading: String) throws(Mismatch) -> [UInt8] {
        let layout = FormatDocument.shared.layout(in: heading)
        try expectNames(layout.map(\.name).filter { !$0.isEmpty })
        var result: [UInt8] = []
        for (name, offset, width) in layout {
            try expect(offset, result.count, "offset of \(name) in the document")
            if name.isEmpty {
                result += Array(repeating: 0, count: width)
            } else if case .blob(let bytes) = try value(name) {
                try expect(bytes.count, width, "bytes of \(name)")
                result += bytes
            } else {
                let word = try word(name)
                guard width == 8 || word >> (8 * UInt64(width)) == 0 else { throw Mismatch("\(name) is too large") }
                result += (0..<width).map { UInt8(truncatingIfNeeded: word >> (8 * UInt64(width - 1 - $0))) }
            }
        }
        return result
    }

    func verifyHeader() throws {
        try expectBytes(try placed("## File header"))
        let header = try bytes.withUnsafeBytes { try DatabaseHeader($0) }
        try expect(header.pageSize, try number("page_size"), "page size")
        try expect(header.pageCount, try number("page_count"), "page count")
        try expect(header.changeCounter, try number("change_counter"), "change counter")
        try expect(header.userVersion, try number("user_version"), "user version")
        try expect(header.applicationID, try number("application_id"), "application id")
        try expect(header.libraryVersion, try number("library_version"), "library version")
    }

    func verifyAreaRecord() throws {
        try expectBytes(try placed("### Area record"))
        guard let range = IOVARange(first: IOVA(try word("first_iova")), last: IOVA(try word("last_iova"))) else {
            throw Mismatch("the range is upside down")
        }
        let area = AreaRecord(
            ioas: IOASID(0), range: range, backing: BackingID(try number("backing")), offset: try word("offset"),
            protection: Protection(rawValue: try number("protection")), flags: try number("flags"))
        try expect(AreaChunk.recordBytes, bytes.count, "size")
        try expect(bytes.withUnsafeBytes { AreaChunk.decode($0.baseAddress!, ioas: IOASID(0)) }, area, "decoded")
        var encoded = [UInt8](repeating: 0xff, count: AreaChunk.recordBytes)
        encoded.withUnsafeMutableBytes { AreaChunk.encode(area, to: $0.baseAddress!) }
        try expectBytes(encoded)
    }

    func verifyDirectoryRecord() throws {
        try expectBytes(try placed("### Directory record"))
        let entry = PageChunk.Entry(
            address: PhysicalAddress(try word("address")), level: try number("level"), end: try number("end"))
        try expect(PageChunk.directoryBytes, bytes.count, "size")
        try expect(bytes.withUnsafeBytes { PageChunk.decode($0.baseAddress!) }, entry, "decoded")
        var encoded = [UInt8](repeating: 0xff, count: PageChunk.directoryBytes)
        encoded.withUnsafeMutableBytes { PageChunk.encode(entry, to: $0.baseAddress!) }
        try expectBytes(encoded)
    }

    func verifyEngineState() throws {
        let name = try text("name")
        if name == "devices" {
            try expectNames(["name", "segment", "rid", "pasid_bits", "flags"])
            let word =
                try word("segment") << 32 | word("rid") << 16 | word("pasid_bits") << 8 | word("flags")
            return try expectBytes(withUnsafeBytes(of: word.bigEndian) { Array($0) })
        }
        try expectNames(["name", "value"])
        guard ["clock", "last-id", "random", "sequence"].contains(name) else {
            throw Mismatch("no engine state \(name)")
        }
        try expectBytes(withUnsafeBytes(of: try word("value").bigEndian) { Array($0) })
    }

    func verifyEventArguments() throws {
        try expectNames(fields.map { _ in "argument" })
        var expected: [Event.Argument] = []
        for field in fields {
            guard field.values.count == 2, case .text(let name) = field.values[0],
                case .text(let value) = field.values[1]
            else { throw Mismatch("an argument is a name and a value") }
            expected.append(Event.Argument(name, value))
        }
        try expect(Event.arguments(fromText: String(decoding: bytes, as: UTF8.self)), expected, "arguments")
        let event = Event(sequence: 1, timeNanoseconds: 0, kind: .operation, name: "", arguments: expected)
        try expectBytes(Array(event.argumentText.utf8))
    }
}
