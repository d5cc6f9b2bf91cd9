import CReference
import IOMMUModel
import PageTables

/// The memory that both sides put their tables into, in turn: the same frames, so that neither has the luckier pages.
///
/// 48 bits of input in four levels, 46 bits of output (so that the reserved mask is not empty), leaves of all sizes.
/// Beside the arena there is one small segment more, so that finding a frame is a real search.
final class TableGround {
    static let arenaBase: UInt64 = 0x1_4000_0000
    static let smallBase: UInt64 = 0x8_0000

    let configuration: PageTableConfiguration
    let memory: PhysicalMemory
    let arenaRange: PhysicalRange
    private var arena: TableArena
    private var table: PageTable
    var referenceConfiguration: ref_config
    var referenceMemory: ref_memory
    var referenceArena = ref_arena()
    var referenceRoot: UInt64 = 0

    private let segments: UnsafeMutablePointer<ref_segment>

    /// `frames` table frames of 4 KiB, all written once so that no page fault is timed.
    init(frames: Int) throws {
        guard let configuration = PageTableConfiguration(topLevel: 3, addressBits: 48, hostAddressWidth: 46),
            let range = PhysicalRange(first: .init(Self.arenaBase), bytes: UInt64(frames) * 4096)
        else { preconditionFailure("a configuration and a range that exist") }
        self.configuration = configuration
        arenaRange = range
        let frameRegion = try MappedRegion.anonymous(bytes: frames * 4096)
        let small = try MappedRegion.anonymous(bytes: 16 * 4096)
        for region in [frameRegion, small] {
            region.base.initializeMemory(as: UInt8.self, repeating: 0xff, count: region.byteCount)
        }
        var memory = PhysicalMemory()
        try memory.add(at: .init(Self.smallBase), byteCount: UInt64(small.byteCount), region: small)
        try memory.add(at: .init(Self.arenaBase), byteCount: UInt64(frameRegion.byteCount), region: frameRegion)
        self.memory = memory
        self.arena = try TableArena(ranges: [range], memory: memory.view)
        table = PageTable(configuration: configuration, root: range.first)

        segments = .allocate(capacity: 2)
        for (index, segment) in memory.segments.enumerated() {
            (segments + index).initialize(
                to: ref_segment(
                    base: segment.range.first.rawValue, byte_count: UInt64(segment.bytes.count),
                    pointer: segment.bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)))
        }
        referenceMemory = ref_make_memory(segments, 2)
        referenceConfiguration = ref_make_config(3, 48, 46, true, false)
        let bytes = frameRegion.base.assumingMemoryBound(to: UInt8.self)
        guard ref_arena_init(&referenceArena, Self.arenaBase, bytes, frames) else {
            throw MemoryError.system(call: "malloc", errno: 12)
        }
    }

    deinit {
        ref_arena_destroy(&referenceArena)
        segments.deallocate()
    }

    /// Makes an empty arena and takes a root from it, on the side of Swift.
    func prepareSubject() throws {
        arena = try TableArena(ranges: [arenaRange], memory: memory.view)
        table = try PageTable.create(configuration, arena: &arena, memory: memory.view)
    }

    /// `count` calls of ``PageTable/map(iova:pa:byteCount:protection:options:memory:arena:)``, `byteCount` each, from
    /// `iova` and `pa` on. The sum of their error numbers.
    func subjectMap(_ count: Int, byteCount: UInt64, iova: UInt64 = 0, pa: UInt64) -> UInt64 {
        mapEach(&table, memory.view, &arena, iova: iova, pa: pa, byteCount: byteCount, count: count)
    }

    /// Empties the arena and takes a root from it, on the side of C.
    func prepareReference() {
        ref_arena_reset(&referenceArena)
        referenceRoot = ref_arena_allocate(&referenceArena)
    }

    /// `count` calls of `ref_map`, `byteCount` each, from `iova` and `pa` on. The sum of their error numbers.
    func referenceMap(_ count: Int, byteCount: UInt64, iova: UInt64 = 0, pa: UInt64) -> UInt64 {
        ref_map_each(
            &referenceConfiguration, referenceRoot, &referenceMemory, &referenceArena, iova, pa, byteCount, count)
    }

    /// Mixes what the last round on the side of Swift has left: see ``digest(root:count:stride:)``.
    func subjectDigest(count: Int, stride: UInt64) -> UInt64 {
        digest(root: table.root.rawValue, count: count, stride: stride) &+ UInt64(arena.dirtyFrames.count)
    }

    /// Mixes what the last round on the side of C has left.
    func referenceDigest(count: Int, stride: UInt64) -> UInt64 {
        let dirty = (0..<referenceArena.frame_count).reduce(UInt64(0)) { $0 &+ UInt64(referenceArena.dirty![$1]) }
        return digest(root: referenceRoot, count: count, stride: stride) &+ dirty
    }

    /// Mixes the results of `count` translations by the walk in C from `root`, `stride` bytes apart.
    private func digest(root: UInt64, count: Int, stride: UInt64) -> UInt64 {
        var digest: UInt64 = 0
        for number in 0..<UInt64(count) {
            let result = ref_translate(&referenceConfiguration, root, &referenceMemory, number &* stride, true)
            let parts = UInt64(result.status.rawValue) << 56 | UInt64(truncatingIfNeeded: result.level) << 48
            digest = (digest ^ parts ^ result.pa) &* 0x9e37_79b9_7f4a_7c15
        }
        return digest
    }
}

/// The counterpart of `ref_map_each`.
@inline(never)
private func mapEach(
    _ table: inout PageTable, _ memory: MemoryView, _ arena: inout TableArena, iova: UInt64, pa: UInt64,
    byteCount: UInt64, count: Int
) -> UInt64 {
    var errors: UInt64 = 0
    var (iova, pa) = (iova, pa)
    for _ in 0..<count {
        do throws(MapError) {
            try table.map(
                iova: IOVA(iova), pa: PhysicalAddress(pa), byteCount: byteCount, protection: .readWrite,
                memory: memory, arena: &arena)
        } catch {
            errors &+= UInt64(error.errno.rawValue)
        }
        iova &+= byteCount
        pa &+= byteCount
    }
    return errors
}
