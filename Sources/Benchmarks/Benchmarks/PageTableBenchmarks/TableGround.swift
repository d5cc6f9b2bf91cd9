import CReference
import IOMMUModel
import Measurement
import PageTables

/// The memory that both sides put their tables into, in turn: the same frames, so that neither has the luckier pages.
///
/// Beside the arena there is one small segment more, so that finding a frame is a real search.
public final class TableGround {
    static let arenaBase: UInt64 = 0x1_4000_0000
    static let smallBase: UInt64 = 0x8_0000

    /// What the tables are.
    public let format: MeasuredFormat
    let configuration: PageTableConfiguration
    /// Where they are.
    public let memory: PhysicalMemory
    let arenaRange: PhysicalRange
    /// `nil` only while a run has it.
    private var arena: TableArena?
    private var table: PageTable
    var referenceConfiguration: ref_config
    var referenceMemory: ref_memory
    var referenceArena = ref_arena()
    /// The root of the tables that the side of C has made last.
    public private(set) var referenceRoot: UInt64 = 0

    private let segments: UnsafeMutablePointer<ref_segment>

    /// `frames` table frames of 4 KiB, all written once so that no page fault is timed.
    public init(_ format: MeasuredFormat, frames: Int) throws {
        self.format = format
        configuration = format.configuration
        let range = PhysicalRange(first: .init(Self.arenaBase), bytes: UInt64(frames) * 4096)!
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
        referenceConfiguration = format.reference
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
        var fresh = try TableArena(ranges: [arenaRange], memory: memory.view)
        table = try PageTable.create(configuration, arena: &fresh, memory: memory.view)
        arena = consume fresh
    }

    /// `count` calls of ``PageTable/map(iova:pa:byteCount:protection:options:memory:arena:)``, `byteCount` each, from
    /// `iova` and `pa` on. The sum of their error numbers.
    func subjectMap(_ count: Int, byteCount: UInt64, iova: UInt64 = 0, pa: UInt64) -> UInt64 {
        // On the stack while it runs, as on the other side: where these are decides a sixth of the time.
        guard var own = arena.take() else { preconditionFailure("a run within a run") }
        var ownTable = table
        let errors = mapEach(&ownTable, memory.view, &own, iova: iova, pa: pa, byteCount: byteCount, count: count)
        table = ownTable
        arena = consume own
        return errors
    }

    /// Empties the arena and takes a root from it, on the side of C.
    public func prepareReference() {
        ref_arena_reset(&referenceArena)
        referenceRoot = ref_arena_allocate(&referenceArena)
    }

    /// Begins another tree beside those that are there, on the side of C.
    public func addReferenceRoot() { referenceRoot = ref_arena_allocate(&referenceArena) }

    /// The table frames that the side of C has in use; they are the first ones of the arena.
    public var referenceFrames: Int { referenceArena.allocated_count }

    /// The words of those frames, one frame after the other.
    public var referenceWords: UnsafePointer<UInt64> {
        UnsafeRawPointer(referenceArena.pointer!).assumingMemoryBound(to: UInt64.self)
    }

    /// `count` calls of `ref_map`, `byteCount` each, from `iova` and `pa` on. The sum of their error numbers.
    @discardableResult
    public func referenceMap(_ count: Int, byteCount: UInt64, iova: UInt64 = 0, pa: UInt64) -> UInt64 {
        ref_map_each(
            &referenceConfiguration, referenceRoot, &referenceMemory, &referenceArena, iova, pa, byteCount, count)
    }

    /// Mixes what the last run on the side of Swift has left, bit by bit, and how it refuses.
    func subjectDigest() -> UInt64 {
        guard var own = arena.take() else { preconditionFailure("a digest within a run") }
        let digest = subjectDigest(&own)
        arena = consume own
        return digest
    }

    private func subjectDigest(_ own: inout TableArena) -> UInt64 {
        let dirty = Set(own.dirtyFrames)
        var digest = Digest()
        for frame in own.allocatedFrames { mix(frame.rawValue, isDirty: dirty.contains(frame), into: &digest) }
        func map(_ request: MapRequest) -> UInt64 {
            do throws(MapError) {
                try table.map(
                    iova: IOVA(request.iova), pa: PhysicalAddress(request.pa), byteCount: request.byteCount,
                    protection: Protection(rawValue: request.rights), memory: memory.view, arena: &own)
                return 0
            } catch {
                return UInt64(error.errno.rawValue)
            }
        }
        refuse(root: table.root.rawValue, into: &digest, map)
        for request in MapRequest.next {
            own.clearDirty()
            digest.mix(map(request))
            for frame in own.dirtyFrames { digest.mix(frame.rawValue) }
        }
        return digest.value
    }

    /// Mixes what the last run on the side of C has left, bit by bit, and how it refuses.
    func referenceDigest() -> UInt64 {
        var digest = Digest()
        for index in 0..<referenceArena.frame_count where referenceArena.used![index] == 1 {
            let frame = Self.arenaBase + UInt64(index) << 12
            mix(frame, isDirty: referenceArena.dirty![index] == 1, into: &digest)
        }
        func map(_ request: MapRequest) -> UInt64 {
            UInt64(
                ref_map(
                    &referenceConfiguration, referenceRoot, &referenceMemory, &referenceArena, request.iova, request.pa,
                    request.byteCount, request.rights, false))
        }
        refuse(root: referenceRoot, into: &digest, map)
        for request in MapRequest.next {
            for index in 0..<referenceArena.frame_count { referenceArena.dirty![index] = 0 }
            digest.mix(map(request))
            for index in 0..<referenceArena.frame_count where referenceArena.dirty![index] == 1 {
                digest.mix(Self.arenaBase + UInt64(index) << 12)
            }
        }
        return digest.value
    }

    /// A frame in use: where it is, its mark and its 512 words.
    private func mix(_ frame: UInt64, isDirty: Bool, into digest: inout Digest) {
        digest.mix(frame | (isDirty ? 1 : 0))
        guard let words = memory.page(at: PhysicalAddress(frame)) else { return digest.mix(.max) }
        for index in 0..<512 { digest.mix(words[index]) }
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
