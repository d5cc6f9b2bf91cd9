import CReference
import Glibc
import IOMMUModel
import Import
import PageTables
import Snapshot

/// A memory image in a file, and the pages of it that an import records.
final class ImageGround {
    private let path: String
    private let metadata: ImageMetadata
    /// Where the recorded pages are in the file, ascending by address, each once.
    private let offsets: [UInt64]

    /// The image is an ELF core whose bytes can be used where they are.
    init(path: String, metadata: ImageMetadata) throws {
        self.path = path
        self.metadata = metadata
        let file = open(path, O_RDONLY | O_CLOEXEC)
        var status = stat()
        guard file >= 0, fstat(file, &status) == 0 else { throw MemoryError.system(call: "open", errno: errno) }
        defer { close(file) }
        let region = try MappedRegion.privateFile(file, bytes: UInt64(status.st_size))
        let layout = try ELFCore.layout(of: .init(start: region.base, count: region.byteCount), path: path)
        offsets = try Self.pages(of: Self.snapshot(path, metadata)).map { page in
            guard let segment = layout.first(where: { $0.range.contains(page) }) else {
                throw MemoryError.empty(at: page)
            }
            return segment.fileOffset + page.distance(from: segment.range.first)
        }
    }

    private static func snapshot(_ path: String, _ metadata: ImageMetadata) throws -> Snapshot {
        try Importer.importMachine(try MachineImage(file: path, metadata: metadata))
    }

    private static func pages(of snapshot: Snapshot) -> [PhysicalAddress] {
        let sets = snapshot.tablePages.map(\.pages) + snapshot.lookupPages.map(\.pages)
        return Set(sets.flatMap { $0.entries.map(\.address) }).sorted()
    }

    /// The pages that an import records.
    var pageCount: Int { offsets.count }

    /// Opens the image and imports it; the number of pages recorded, one that two trees have counted twice.
    func importImage() throws -> UInt64 {
        let snapshot = try Self.snapshot(path, metadata)
        let count =
            snapshot.tablePages.reduce(0) { $0 + $1.pages.count }
            + snapshot.lookupPages.reduce(0) { $0 + $1.pages.count }
        return count >= pageCount ? UInt64(pageCount) : 0
    }

    /// Opens the image and reads what an import records.
    func readPages() throws -> UInt64 {
        try sumOfPages() == 0 ? 0 : UInt64(pageCount)
    }

    /// The sum of the words, as they are in the file.
    func sumOfPages() throws -> UInt64 {
        var error: Int32 = 0
        let sum = ref_read_pages(path, offsets, offsets.count, &error)
        guard error == 0 else { throw MemoryError.system(call: "mmap", errno: error) }
        return sum
    }

    /// The sum of the words, as an import recorded them.
    func sumOfRecord() throws -> UInt64 {
        let snapshot = try Self.snapshot(path, metadata)
        var known: Set<PhysicalAddress> = []
        var sum: UInt64 = 0
        var words = [UInt64](repeating: 0, count: PageRuns.wordCount)
        for pages in snapshot.tablePages.map(\.pages) + snapshot.lookupPages.map(\.pages) {
            for (index, entry) in pages.entries.enumerated() where known.insert(entry.address).inserted {
                words.withUnsafeMutableBufferPointer { pages.decode(index, into: $0.baseAddress!) }
                sum = words.reduce(sum, &+)
            }
        }
        return sum
    }
}
