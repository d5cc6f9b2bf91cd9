import IOMMUModel

/// Why memory could not be mapped or put together.
public enum MemoryError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A system call failed with this error number.
    case system(call: String, errno: Int32)
    /// A mapping of no bytes, of a negative number, or one that passes the end of the file.
    case outsideFile(offset: UInt64, byteCount: UInt64, fileBytes: UInt64)
    /// A segment of no bytes.
    case empty(at: PhysicalAddress)
    /// A segment that would pass the end of the 64-bit physical space.
    case passesEndOfSpace(at: PhysicalAddress, byteCount: UInt64)
    /// A segment that is not wholly inside its region.
    case outsideRegion(offset: Int, byteCount: UInt64, regionBytes: Int)
    /// The host address and the physical address differ modulo 8: words could not be read in place.
    case misaligned(at: PhysicalAddress, regionOffset: Int)
    /// A segment that overlaps one that is there already.
    case overlap(PhysicalRange, with: PhysicalRange)

    /// One line.
    public var description: String {
        switch self {
        case .system(let call, let errno): "\(call) failed with errno \(errno)"
        case .outsideFile(let offset, let bytes, let fileBytes):
            "\(bytes) bytes at offset \(offset) are not inside a file of \(fileBytes) bytes"
        case .empty(let address): "segment at \(address) has no bytes"
        case .passesEndOfSpace(let address, let bytes): "\(bytes) bytes at \(address) pass the end of physical space"
        case .outsideRegion(let offset, let bytes, let regionBytes):
            "\(bytes) bytes at offset \(offset) are not inside a region of \(regionBytes) bytes"
        case .misaligned(let address, let offset):
            "offset \(offset) of the region and physical address \(address) differ modulo 8"
        case .overlap(let range, let other): "segment \(range) overlaps \(other)"
        }
    }
}
