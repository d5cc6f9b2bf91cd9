import IOMMUModel

/// Reads the fields of an ELF64 file, never past its end.
struct ELFReader {
    static let headerBytes: UInt64 = 64
    static let programHeaderBytes: UInt64 = 56
    /// e_phnum when the number does not fit; the real one is in `sh_info` of section header 0.
    static let extendedCount: UInt64 = 0xffff
    static let loadType: UInt64 = 1

    let bytes: UnsafeRawBufferPointer
    let path: String

    var size: UInt64 { UInt64(bytes.count) }

    func error(_ offset: UInt64, _ what: String, found: String, expected: String) -> ImportError {
        .elf(path: path, offset: offset, what: what, found: found, expected: expected)
    }

    /// The little-endian number of `count` bytes at `offset`; `nil` when it is not wholly in the file.
    private func number(_ offset: UInt64, _ count: UInt64) -> UInt64? {
        guard offset <= size, count <= size - offset else { return nil }
        if count == 8 { return UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: Int(offset), as: UInt64.self)) }
        var value: UInt64 = 0
        for index in 0..<count { value |= UInt64(bytes[Int(offset + index)]) << (8 * index) }
        return value
    }

    private func field(_ offset: UInt64, _ count: UInt64, _ what: String) throws(ImportError) -> UInt64 {
        guard let value = number(offset, count) else {
            throw error(offset, what, found: "end of file at \(hex(size, digits: 1))", expected: "\(count) bytes")
        }
        return value
    }

    private func check(
        _ offset: UInt64, _ count: UInt64, _ what: String, is wanted: UInt64, _ expected: String
    ) throws(ImportError) {
        let found = try field(offset, count, what)
        guard found == wanted else { throw error(offset, what, found: "\(found)", expected: expected) }
    }

    /// Where the program headers are, wholly inside the file, and how many.
    func programHeaders() throws(ImportError) -> (offset: UInt64, count: UInt64) {
        guard number(0, 4) == 0x464c_457f else { throw .notELF(path: path) }
        guard size >= Self.headerBytes else {
            throw error(0, "ELF header", found: "\(size) bytes", expected: "\(Self.headerBytes)")
        }
        try check(4, 1, "class", is: 2, "2 (64-bit)")
        try check(5, 1, "byte order", is: 1, "1 (little-endian)")
        try check(6, 1, "version", is: 1, "1")
        try check(16, 2, "file type", is: 4, "4 (core)")
        let offset = try field(32, 8, "e_phoff")
        try check(54, 2, "e_phentsize", is: Self.programHeaderBytes, "\(Self.programHeaderBytes)")
        var count = try field(56, 2, "e_phnum")
        if count == Self.extendedCount {
            let sections = try field(40, 8, "e_shoff")
            guard sections <= size, size - sections >= 64 else {
                throw error(
                    40, "section header 0 (e_phnum is 65535)", found: "offset \(hex(sections, digits: 1))",
                    expected: "64 bytes in a file of \(hex(size, digits: 1))")
            }
            count = try field(sections + 44, 4, "sh_info")
        }
        guard count > 0 else { throw error(56, "e_phnum", found: "0", expected: "at least one program header") }
        // count is below 2^32, so the product cannot overflow.
        guard offset <= size, count * Self.programHeaderBytes <= size - offset else {
            throw error(
                32, "program header table", found: "\(count) headers at \(hex(offset, digits: 1))",
                expected: "an end within the file of \(hex(size, digits: 1)) bytes")
        }
        return (offset, count)
    }

    /// The segment that the program header at `offset` describes; `nil` when it is no memory in the file.
    func segment(at offset: UInt64) throws(ImportError) -> ELFCore.Segment? {
        guard try field(offset, 4, "p_type") == Self.loadType else { return nil }
        let fileOffset = try field(offset + 8, 8, "p_offset")
        let address = try field(offset + 24, 8, "p_paddr")
        let fileBytes = try field(offset + 32, 8, "p_filesz")
        let memoryBytes = try field(offset + 40, 8, "p_memsz")
        guard fileBytes > 0 else { return nil }
        guard fileBytes <= memoryBytes else {
            throw error(
                offset + 32, "p_filesz", found: hex(fileBytes, digits: 1),
                expected: "at most p_memsz = \(hex(memoryBytes, digits: 1))")
        }
        guard fileOffset <= size, fileBytes <= size - fileOffset else {
            throw error(
                offset + 8, "PT_LOAD at \(hex(address))",
                found: "\(hex(fileBytes, digits: 1)) bytes at offset \(hex(fileOffset, digits: 1))",
                expected: "an end within the file of \(hex(size, digits: 1)) bytes")
        }
        guard PhysicalRange(first: PhysicalAddress(address), bytes: memoryBytes) != nil,
            let range = PhysicalRange(first: PhysicalAddress(address), bytes: fileBytes)
        else {
            throw error(
                offset + 24, "p_paddr",
                found: "\(hex(address)) with \(hex(memoryBytes, digits: 1)) bytes", expected: "an end below 2^64")
        }
        return ELFCore.Segment(headerOffset: offset, fileOffset: fileOffset, range: range)
    }
}
