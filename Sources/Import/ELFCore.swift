import IOMMUModel
import PageTables

/// An ELF64 core: `PT_LOAD.p_paddr` is a physical address (System V ABI, ELF header and program header).
///
/// Little-endian only. What `p_memsz` has beyond `p_filesz` is not in the dump: unknown, not zero. Any field may lie:
/// every offset, size and sum is checked against the file before it is used.
public enum ELFCore {
    /// One `PT_LOAD` that has bytes in the file.
    public struct Segment: Sendable, Hashable {
        /// Where its program header is in the file.
        public var headerOffset: UInt64
        /// Where its bytes are in the file.
        public var fileOffset: UInt64
        /// From `p_paddr` on, as long as the file has bytes; both ends included, not necessarily whole pages.
        public var range: PhysicalRange
        /// Bytes in the file (`p_filesz`), at least 1.
        public var byteCount: UInt64 { range.lastOffset &+ 1 }
    }

    /// The memory that the file at `path` holds, mapped.
    ///
    /// A segment whose file offset and physical address differ modulo 8 (some dumpers write so) is read into memory,
    /// since words could not be read in place; with ``ImageSharing/shared`` it is refused.
    public static func open(_ path: String, sharing: ImageSharing = .privateCopy) throws(ImportError) -> PhysicalMemory
    {
        let file = try InputFile(path, writable: sharing == .shared)
        guard file.byteCount > 0 else { throw .notELF(path: path) }
        let region = try file.map(sharing)
        let segments = try layout(of: UnsafeRawBufferPointer(start: region.base, count: region.byteCount), path: path)
        var memory = PhysicalMemory()
        for segment in segments {
            do throws(MemoryError) {
                if (segment.fileOffset &- segment.range.first.rawValue) & 7 == 0 || sharing == .shared {
                    // Bounded by the file's size, which is that of the region.
                    try memory.add(
                        at: segment.range.first, byteCount: segment.byteCount, region: region,
                        regionOffset: Int(segment.fileOffset))
                } else {
                    let lead = Int(segment.range.first.rawValue & 7)
                    let copy = try MappedRegion.anonymous(bytes: Int(segment.byteCount) + lead)
                    (copy.base + lead).copyMemory(
                        from: region.base + Int(segment.fileOffset), byteCount: Int(segment.byteCount))
                    try memory.add(
                        at: segment.range.first, byteCount: segment.byteCount, region: copy, regionOffset: lead)
                }
            } catch {
                throw .memory(path: path, error)
            }
        }
        return memory
    }

    /// The segments of the file whose bytes are `bytes`, ascending by address; `path` is for messages.
    public static func layout(
        of bytes: UnsafeRawBufferPointer, path: String
    ) throws(ImportError) -> [Segment] {
        let reader = ELFReader(bytes: bytes, path: path)
        let table = try reader.programHeaders()
        var segments: [Segment] = []
        for index in 0..<table.count {
            // The table is inside the file, so this cannot overflow.
            let offset = table.offset + index * ELFReader.programHeaderBytes
            if let segment = try reader.segment(at: offset) { segments.append(segment) }
        }
        guard !segments.isEmpty else {
            throw reader.error(table.offset, "program headers", found: "no PT_LOAD with bytes", expected: "memory")
        }
        segments.sort { ($0.range, $0.headerOffset) < ($1.range, $1.headerOffset) }
        for index in segments.indices.dropFirst() where segments[index].range.overlaps(segments[index - 1].range) {
            throw reader.error(
                segments[index].headerOffset, "PT_LOAD", found: "\(segments[index].range)",
                expected: "no overlap with \(segments[index - 1].range) (program header at "
                    + "\(hex(segments[index - 1].headerOffset, digits: 1)))")
        }
        return segments
    }
}
