import Glibc
import IOMMUModel
import Import
import PageTableBenchmarks
import PageTables

/// An ELF core of a machine with one VT-d unit whose devices have 1 GiB each, in domains of their own: one eighth of them
/// fragmented, the others dense. Removed when it goes.
final class SyntheticImage {
    static let deviceCount = 64
    private static let lookupBase: UInt64 = 0x1000_0000

    let path: String

    /// In `TMPDIR`, or in /var/tmp.
    init() throws {
        let ground = try TableGround(.vtd, frames: Self.deviceCount * 520)
        ground.prepareReference()
        // The root table and one context table.
        var lookup = [UInt64](repeating: 0, count: 1024)
        lookup[0] = (Self.lookupBase + 4096) | 1
        for number in 0..<Self.deviceCount {
            if number > 0 { ground.addReferenceRoot() }
            ground.referenceMap(number % 8 == 7 ? .fragmented : .dense, gibibytes: 1)
            lookup[512 + number * 2] = ground.referenceRoot | 1
            // Domain ids from 1 on, 48 bits.
            lookup[512 + number * 2 + 1] = UInt64(number + 1) << 8 | 2
        }
        var template = Array(
            "\(getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp")/domstore-image-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw MemoryError.system(call: "mkstemp", errno: errno) }
        defer { close(file) }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let tables = UnsafeRawBufferPointer(start: ground.referenceWords, count: ground.referenceFrames * 4096)
        try lookup.withUnsafeBytes { lookup in
            let segments = [(Self.lookupBase, lookup), (ground.memory.segments.last!.range.first.rawValue, tables)]
            try Self.header(segments.map { ($0.0, UInt64($0.1.count)) }).withUnsafeBytes { try Self.write($0, file) }
            for (_, bytes) in segments { try Self.write(bytes, file) }
        }
    }

    deinit { unlink(path) }

    /// What an import has to be told.
    var metadata: ImageMetadata {
        ImageMetadata(
            kind: .intelVTd,
            registers: [
                .init(name: "cap", value: 0x0d20_08c4_0660_0462), .init(name: "ecap", value: 0xf0_20da),
                .init(name: "gsts", value: 0xc000_0000), .init(name: "rtaddr", value: Self.lookupBase),
            ], hostAddressWidth: 46)
    }

    /// The first page of the file: ELF header and program headers; the segments follow one after the other.
    private static func header(_ segments: [(base: UInt64, byteCount: UInt64)]) -> [UInt64] {
        var words = [UInt64](repeating: 0, count: 512)
        // 64-bit, little-endian, version 1; a core for x86-64; program headers of 56 bytes from byte 64 on.
        words[0] = 0x0001_0102_464c_457f
        words[2] = 4 | 62 << 16 | 1 << 32
        words[4] = 64
        words[6] = 64 << 32 | 56 << 48
        words[7] = UInt64(segments.count)
        var offset: UInt64 = 4096
        for (number, segment) in segments.enumerated() {
            // PT_LOAD, file offset, no virtual address, physical address, bytes in the file and in memory, alignment.
            let fields = [1, offset, 0, segment.base, segment.byteCount, segment.byteCount, 4096]
            words.replaceSubrange(8 + number * 7..<15 + number * 7, with: fields)
            offset += segment.byteCount
        }
        return words
    }

    private static func write(_ bytes: UnsafeRawBufferPointer, _ file: Int32) throws {
        var done = 0
        while done < bytes.count {
            let count = Glibc.write(file, bytes.baseAddress! + done, bytes.count - done)
            guard count > 0 else { throw MemoryError.system(call: "write", errno: errno) }
            done += count
        }
    }
}
