import IOMMUModel
import Migrations

/// The first 100 bytes of a SQLite file, read and checked before SQLite sees it (sqlite.org/fileformat2.html, 1.3).
public struct DatabaseHeader: Sendable, Hashable {
    /// Bytes of the header itself.
    public static let byteCount = 100

    /// Bytes per page, a power of two, 512 to 65,536.
    public var pageSize: UInt32
    /// Pages in the file.
    public var pageCount: UInt32
    /// Counts the transactions that changed the file; wraps.
    public var changeCounter: UInt32
    /// The format version; ``Migrations/current`` once the header is read.
    public var userVersion: UInt32
    /// ``Migrations/applicationID`` once the header is read.
    public var applicationID: UInt32
    /// SQLite's version number that wrote the file last, for example 3040001.
    public var libraryVersion: UInt32

    /// Checks everything that ours must have. `bytes` are the first 100 of the file or more.
    ///
    /// Errors: ``StoreError/headerDamaged(offset:what:)``, ``StoreError/notOurs(applicationID:)``,
    /// ``StoreError/tooNew(found:supported:)``, ``StoreError/tooOld(found:supported:)``.
    public init(_ bytes: UnsafeRawBufferPointer) throws(StoreError) {
        try self.init(bytes, versions: Migrations.current...Migrations.current)
    }

    /// As ``init(_:)``, for other versions than the current one.
    init(_ bytes: UnsafeRawBufferPointer, versions: ClosedRange<UInt32>) throws(StoreError) {
        guard bytes.count >= Self.byteCount else {
            throw .headerDamaged(offset: bytes.count, what: "the file ends here, a header has 100 bytes")
        }
        func word(_ offset: Int) -> UInt32 {
            UInt32(bigEndian: bytes.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
        }
        func expect(_ offset: Int, _ value: UInt8, _ what: String) throws(StoreError) {
            guard bytes[offset] == value else {
                throw .headerDamaged(offset: offset, what: "\(what) is \(bytes[offset]), expected \(value)")
            }
        }
        guard bytes[0..<16].elementsEqual("SQLite format 3\0".utf8) else {
            throw .headerDamaged(offset: 0, what: "no 'SQLite format 3'")
        }
        applicationID = word(68)
        guard applicationID == Migrations.applicationID else { throw .notOurs(applicationID: applicationID) }
        userVersion = word(60)
        guard userVersion <= versions.upperBound else {
            throw .tooNew(found: userVersion, supported: versions.upperBound)
        }
        guard userVersion >= versions.lowerBound else {
            throw .tooOld(found: userVersion, supported: versions.lowerBound)
        }
        let size = UInt32(bytes[16]) << 8 | UInt32(bytes[17])
        pageSize = size == 1 ? 65_536 : size
        guard pageSize >= 512, pageSize.nonzeroBitCount == 1 else {
            throw .headerDamaged(offset: 16, what: "page size \(size) is no power of two from 512 to 65536")
        }
        try expect(18, 1, "write version")
        try expect(19, 1, "read version")
        try expect(20, 0, "reserved bytes per page")
        try expect(21, 64, "maximum payload fraction")
        try expect(22, 32, "minimum payload fraction")
        try expect(23, 32, "leaf payload fraction")
        changeCounter = word(24)
        pageCount = word(28)
        guard pageCount > 0 else { throw .headerDamaged(offset: 28, what: "page count 0") }
        guard word(92) == changeCounter else {
            throw .headerDamaged(
                offset: 92, what: "page count is valid for change \(word(92)), the file is at \(changeCounter)")
        }
        guard word(44) == 4 else { throw .headerDamaged(offset: 44, what: "schema format \(word(44)), expected 4") }
        guard word(52) == 0 else { throw .headerDamaged(offset: 52, what: "auto-vacuum is on") }
        guard word(56) == 1 else {
            throw .headerDamaged(offset: 56, what: "text encoding \(word(56)), expected 1 (UTF-8)")
        }
        guard bytes[72..<92].allSatisfy({ $0 == 0 }) else {
            throw .headerDamaged(offset: 72, what: "reserved bytes set")
        }
        libraryVersion = word(96)
    }

    /// The size that the file must have.
    public var fileBytes: UInt64 { UInt64(pageSize) * UInt64(pageCount) }

    /// Checks that the file has exactly the pages that the header counts.
    func check(fileBytes found: UInt64) throws(StoreError) {
        guard found == fileBytes else {
            throw .headerDamaged(
                offset: 28,
                what: "\(pageCount) pages of \(pageSize) bytes are \(fileBytes) bytes, the file has \(found)")
        }
    }
}
