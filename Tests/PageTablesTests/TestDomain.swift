import IOMMUModel
import PageTables

/// A memory, an arena over all of it and one tree in it.
final class TestDomain {
    let machine: TestMemory
    var arena: TableArena
    var table: PageTable
    var view: MemoryView { machine.view }
    var configuration: PageTableConfiguration { table.configuration }

    init(_ configuration: PageTableConfiguration, frames: Int = 4096) throws {
        machine = try TestMemory(pages: frames)
        let range = PhysicalRange(first: machine.base, bytes: UInt64(frames) << 12)!
        var arena = try TableArena(ranges: [range], memory: machine.view)
        table = try PageTable.create(configuration, arena: &arena, memory: machine.view)
        self.arena = arena
    }

    func map(
        _ iova: UInt64, _ pa: UInt64, _ bytes: UInt64, _ protection: Protection = .readWrite, options: MapOptions = []
    ) throws(MapError) {
        try table.map(
            iova: IOVA(iova), pa: PhysicalAddress(pa), byteCount: bytes, protection: protection, options: options,
            memory: view, arena: &arena)
    }

    func unmap(_ iova: UInt64, _ bytes: UInt64) -> UInt64 {
        table.unmap(iova: IOVA(iova), byteCount: bytes, memory: view, arena: &arena)
    }

    /// What a read of `iova` reaches, `nil` when it faults.
    func read(_ iova: UInt64) -> UInt64? {
        Walker.translate(configuration, root: table.root, memory: view, iova: IOVA(iova), access: .read)
            .translation?.pa.rawValue
    }

    /// Removes everything; the bytes removed. By halves: the whole 64-bit space has no length.
    func unmapAll() -> UInt64 {
        configuration.iovaRanges.reduce(0) { sum, range in
            let half = range.lastOffset / 2 + 1
            return sum + unmap(range.first.rawValue, half) + unmap(range.first.rawValue + half, half)
        }
    }

    /// What a walk to `iova` reads.
    func trace(_ iova: UInt64, _ access: Access = .read) -> WalkTrace {
        Walker.trace(configuration, root: table.root, memory: view, iova: IOVA(iova), access: access)
    }

    func scan() -> TableTree { Walker.scan(configuration, root: table.root, memory: view) }

    func leaves() -> [Leaf] {
        var leaves: [Leaf] = []
        scan().forEachLeaf {
            leaves.append(
                Leaf(
                    iova: $0.iova.rawValue, log2: $0.pageSizeLog2, pa: $0.pa.rawValue, protection: $0.protection))
            return true
        }
        return leaves
    }

    /// Every word of the arena's memory.
    func contents() -> [UInt64] {
        let words = view.page(at: machine.base)!
        return Array(UnsafeBufferPointer(start: words, count: machine.memory.segments[0].bytes.count / 8))
    }

    /// The errno of a map that must fail, `nil` when it does not.
    func failure(of body: () throws(MapError) -> Void) -> MapError? {
        do throws(MapError) {
            try body()
            return nil
        } catch { return error }
    }

    /// The oracle's and the tables' idea of one leaf.
    struct Leaf: Equatable {
        var iova: UInt64
        var log2: Int
        var pa: UInt64
        var protection: Protection
        var last: UInt64 { iova + (1 << UInt64(log2)) - 1 }
    }
}
