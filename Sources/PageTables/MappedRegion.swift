import Glibc

/// An owned mapping of memory: anonymous, or a part of a file.
///
/// Unmapped when the last reference goes. The bytes themselves are plain memory: two threads that write the same word
/// need their own order, as with any pointer.
public final class MappedRegion: @unchecked Sendable {
    /// The first byte asked for.
    public let base: UnsafeMutableRawPointer
    /// The number of bytes asked for, at least 1.
    public let byteCount: Int

    private let mapping: UnsafeMutableRawPointer
    private let mappingBytes: Int

    private init(
        bytes: Int, lead: Int, protection: Int32, flags: Int32, descriptor: Int32, offset: Int
    ) throws(MemoryError) {
        let (total, overflow) = bytes.addingReportingOverflow(lead)
        guard !overflow, let address = mmap(nil, total, protection, flags, descriptor, offset), address != MAP_FAILED
        else { throw .system(call: "mmap", errno: overflow ? EOVERFLOW : errno) }
        mapping = address
        mappingBytes = total
        base = address + lead
        byteCount = bytes
    }

    deinit { munmap(mapping, mappingBytes) }

    /// `bytes` zero bytes, page aligned. Host memory is taken page by page as it is written.
    public static func anonymous(bytes: Int) throws(MemoryError) -> MappedRegion {
        guard bytes > 0 else { throw .outsideFile(offset: 0, byteCount: 0, fileBytes: 0) }
        return try MappedRegion(
            bytes: bytes, lead: 0, protection: PROT_READ | PROT_WRITE,
            flags: MAP_PRIVATE | Int32(MAP_ANONYMOUS) | Int32(MAP_NORESERVE), descriptor: -1, offset: 0)
    }

    /// `bytes` bytes of the file behind `descriptor`, from `offset` on. Writes stay in this process.
    ///
    /// The file must hold them all now, and must not be truncated while the region lives (reads would end in SIGBUS).
    /// The descriptor may be closed afterwards. `offset` need not be page aligned.
    public static func privateFile(
        _ descriptor: Int32, offset: UInt64 = 0, bytes: UInt64
    ) throws(MemoryError) -> MappedRegion {
        try file(descriptor, offset: offset, bytes: bytes, flags: MAP_PRIVATE | Int32(MAP_NORESERVE))
    }

    /// As ``privateFile(_:offset:bytes:)``, but writes go to the file. The descriptor must be open for both.
    public static func sharedFile(
        _ descriptor: Int32, offset: UInt64 = 0, bytes: UInt64
    ) throws(MemoryError) -> MappedRegion {
        try file(descriptor, offset: offset, bytes: bytes, flags: MAP_SHARED)
    }

    private static func file(
        _ descriptor: Int32, offset: UInt64, bytes: UInt64, flags: Int32
    ) throws(MemoryError) -> MappedRegion {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .system(call: "fstat", errno: errno) }
        let fileBytes = UInt64(clamping: status.st_size)
        let (end, overflow) = offset.addingReportingOverflow(bytes)
        guard bytes > 0, !overflow, end <= fileBytes else {
            throw .outsideFile(offset: offset, byteCount: bytes, fileBytes: fileBytes)
        }
        // Bounded by the file size, a positive Int64, so the conversions cannot trap.
        let lead = Int(offset % UInt64(getpagesize()))
        return try MappedRegion(
            bytes: Int(bytes), lead: lead, protection: PROT_READ | PROT_WRITE, flags: flags, descriptor: descriptor,
            offset: Int(offset) - lead)
    }
}
