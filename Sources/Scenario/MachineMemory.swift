import Glibc
import IOMMUModel
import PageTables

/// The memory of a simulated machine: the ranges that it really holds, in one mapping.
///
/// Either anonymous, or a file that is shared from the start, so that it survives the death of this process: an ELF core
/// whose `PT_LOAD.p_paddr` are the physical addresses, readable by every tool that reads cores.
package enum MachineMemory {
    /// Size of an ELF64 header, of a program header, and of the room that precedes the first segment per 4 KiB.
    private static let headerBytes = 64
    private static let programHeaderBytes = 56

    /// Where each range stands in the mapping; ranges that touch are one segment.
    static func segments(of ranges: [PhysicalRange]) -> [PhysicalRange] {
        var result: [PhysicalRange] = []
        for range in ranges.sorted() {
            if let last = result.last, last.last.rawValue &+ 1 >= range.first.rawValue {
                let joined = PhysicalRange(first: last.first, last: max(last.last, range.last))
                if let joined { result[result.count - 1] = joined }
            } else {
                result.append(range)
            }
        }
        return result
    }

    /// Zeroed memory for `ranges` (whole pages), in an anonymous mapping.
    package static func anonymous(_ ranges: [PhysicalRange]) throws(ScenarioError) -> PhysicalMemory {
        let segments = segments(of: ranges)
        let total = segments.reduce(0) { $0 + Int($1.lastOffset) + 1 }
        do {
            return try place(segments, in: try MappedRegion.anonymous(bytes: total), from: 0)
        } catch {
            throw .machine(what: "\(error)")
        }
    }

    /// Zeroed memory for `ranges` in a new file at `path`, shared: what devices and engines write is in the file.
    ///
    /// - Throws: ``ScenarioError/io(operation:path:errno:)``; the file is removed again when it could not be completed.
    static func file(_ ranges: [PhysicalRange], at path: String) throws(ScenarioError) -> PhysicalMemory {
        let segments = segments(of: ranges)
        let header = elfHeader(segments)
        let total = segments.reduce(header.count) { $0 + Int($1.lastOffset) + 1 }
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .io(operation: "create", path: path, errno: errno) }
        defer { close(descriptor) }
        do {
            // Every block now: a device's write into a hole of a full file system would be a SIGBUS.
            let failure = posix_fallocate(descriptor, 0, off_t(total))
            guard failure == 0 else {
                throw ScenarioError.io(operation: "allocate", path: path, errno: failure)
            }
            let written = header.withUnsafeBytes { pwrite(descriptor, $0.baseAddress, $0.count, 0) }
            guard written == header.count else {
                throw ScenarioError.io(operation: "write", path: path, errno: errno)
            }
            let region = try MappedRegion.sharedFile(descriptor, bytes: UInt64(total))
            return try place(segments, in: region, from: header.count)
        } catch let error as ScenarioError {
            unlink(path)
            throw error
        } catch {
            unlink(path)
            throw .machine(what: "\(error)")
        }
    }

    private static func place(
        _ segments: [PhysicalRange], in region: MappedRegion, from start: Int
    ) throws(MemoryError) -> PhysicalMemory {
        var memory = PhysicalMemory()
        var offset = start
        for segment in segments {
            let bytes = Int(segment.lastOffset) + 1
            try memory.add(at: segment.first, byteCount: UInt64(bytes), region: region, regionOffset: offset)
            offset += bytes
        }
        return memory
    }

    /// ELF header and program headers, padded to a page boundary.
    private static func elfHeader(_ segments: [PhysicalRange]) -> [UInt8] {
        let used = headerBytes + segments.count * programHeaderBytes
        let padded = (used + 4095) & ~4095
        var bytes: [UInt8] = []
        bytes.reserveCapacity(padded)
        func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        bytes += [0x7f, 0x45, 0x4c, 0x46, 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]
        append(UInt16(4))  // ET_CORE
        append(UInt16(62))  // EM_X86_64
        append(UInt32(1))
        append(UInt64(0))
        append(UInt64(headerBytes))
        append(UInt64(0))
        append(UInt32(0))
        append(UInt16(headerBytes))
        append(UInt16(programHeaderBytes))
        append(UInt16(segments.count))
        append(UInt16(0))
        append(UInt16(0))
        append(UInt16(0))
        var offset = UInt64(padded)
        for segment in segments {
            let size = segment.lastOffset + 1
            append(UInt32(1))  // PT_LOAD
            append(UInt32(6))  // readable, writable
            append(offset)
            append(UInt64(0))
            append(segment.first.rawValue)
            append(size)
            append(size)
            append(UInt64(4096))
            offset += size
        }
        bytes.append(contentsOf: repeatElement(0, count: padded - bytes.count))
        return bytes
    }
}
