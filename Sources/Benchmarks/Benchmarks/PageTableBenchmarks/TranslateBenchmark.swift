import CReference
import IOMMUModel
import Measurement
import PageTables

extension Benchmark {
    /// Random translations over a million mapped 4 KiB pages; both sides walk the same tables.
    public static func translate() throws -> Benchmark {
        let pages = 1_000_000
        let ground = try TableGround(frames: 4096)
        ground.prepareReference()
        let errors = ground.referenceMap(pages, byteCount: 4096, pa: 0x2_0000_0000)
        precondition(errors == 0, "the tables could not be built")
        // Ten runs a round, so that a moment of the machine hits both sides.
        let (repetitions, slice) = (10, pages / 10)
        let iovas = RandomAddresses(count: pages, pages: UInt64(pages))
        let (subjectCursor, referenceCursor) = (SliceCursor(count: repetitions), SliceCursor(count: repetitions))
        return Benchmark(
            name: "translate", summary: "random translation over 10^6 mapped 4K pages, beside C -O2", goal: 1.10,
            repetitions: repetitions,
            subject: Side(
                label: "swift", operations: slice,
                prepare: { subjectCursor.advance() },
                run: { count in
                    translateEach(
                        ground.configuration, root: PhysicalAddress(ground.referenceRoot), ground.memory.view,
                        iovas.pointer + subjectCursor.position * slice, count: count)
                },
                digest: { ground.translations { ground.subjectAnswer($0, $1) } }),
            reference: Side(
                label: "c", operations: slice,
                prepare: { referenceCursor.advance() },
                run: { count in
                    ref_translate_each(
                        &ground.referenceConfiguration, ground.referenceRoot, &ground.referenceMemory,
                        iovas.pointer + referenceCursor.position * slice, count)
                },
                digest: { ground.translations { ground.referenceAnswer($0, $1) } }))
    }
}

/// Which of `count` slices is next, round and round.
private final class SliceCursor {
    let count: Int
    private(set) var position = 0

    init(count: Int) { self.count = count }

    func advance() { position = (position + 1) % count }
}

/// All that a translation answers, in the numbers of the C side.
private struct Answer {
    var status: ref_status
    var level = -1
    var pageSizeLog2 = 0
    var rights: UInt8 = 0
    var pa: UInt64 = 0
    var entryAddress: UInt64 = 0
}

extension TableGround {
    /// Mixes all that is answered for every page mapped and some that are not, for an access that reads and one that
    /// writes, on healthy tables and on damaged ones.
    fileprivate func translations(_ translate: (_ iova: UInt64, _ access: Access) -> Answer) -> UInt64 {
        var digest = Digest()
        func mix(_ iova: UInt64) {
            for access in [Access.read, .write] {
                let answer = translate(iova, access)
                digest.mix(UInt64(answer.status.rawValue) << 32 | UInt64(truncatingIfNeeded: answer.level) & 0xff)
                digest.mix(UInt64(answer.pageSizeLog2) << 8 | UInt64(answer.rights))
                digest.mix(answer.pa)
                digest.mix(answer.entryAddress)
            }
        }
        for page in 0..<UInt64(1_000_100) { mix(page << 12 | page & 0xfff) }
        for iova in [1 << 47, 1 << 48, UInt64.max] { mix(iova) }
        for level in 0...3 {
            var table = referenceRoot
            for _ in level..<3 { table = (memory.word(at: PhysicalAddress(table)) ?? 0) & ~0xfff }
            let entry = memory.word(at: PhysicalAddress(table)) ?? 0
            // Reserved bits, bits that only a leaf has, a leaf, no memory there, rights taken away.
            let damages: [UInt64] = [
                entry | 1 << 47, entry | 1 << 11, entry | 1 << 7, 1 << 45 | 3, entry ^ 1, entry ^ 2, entry ^ 3,
            ]
            for damaged in damages {
                _ = memory.setWord(damaged, at: PhysicalAddress(table))
                mix(0x123)
            }
            _ = memory.setWord(entry, at: PhysicalAddress(table))
        }
        return digest.value
    }

    fileprivate func subjectAnswer(_ iova: UInt64, _ access: Access) -> Answer {
        let root = PhysicalAddress(referenceRoot)
        switch Walker.translate(configuration, root: root, memory: memory.view, iova: IOVA(iova), access: access) {
        case .translated(let translation):
            return Answer(
                status: REF_OK, level: translation.level, pageSizeLog2: translation.pageSizeLog2,
                rights: translation.protection.rawValue, pa: translation.pa.rawValue,
                entryAddress: translation.entryAddress.rawValue)
        case .fault(let fault, let level, let entry):
            let status: ref_status =
                switch fault {
                case .notPresent: REF_NOT_PRESENT
                case .permissionRead, .permissionWrite: REF_PERMISSION
                case .reservedBits: REF_RESERVED
                case .vaOutOfRange: REF_OUT_OF_RANGE
                case .pointerOutsideMemory: REF_ABSENT
                }
            return Answer(status: status, level: level ?? -1, entryAddress: entry?.rawValue ?? 0)
        case .absent(let page, let level):
            return Answer(status: REF_ABSENT, level: level, entryAddress: page.rawValue)
        }
    }

    fileprivate func referenceAnswer(_ iova: UInt64, _ access: Access) -> Answer {
        let result = ref_translate(
            &referenceConfiguration, referenceRoot, &referenceMemory, iova, access == .write)
        return Answer(
            status: result.status, level: Int(result.level), pageSizeLog2: Int(result.page_size_log2),
            rights: result.rights, pa: result.pa, entryAddress: result.entry_address)
    }
}

/// The counterpart of `ref_translate_each`: `count` calls, the sum of the addresses.
@inline(never)
private func translateEach(
    _ configuration: PageTableConfiguration, root: PhysicalAddress, _ memory: MemoryView,
    _ iovas: UnsafePointer<UInt64>, count: Int
) -> UInt64 {
    var sum: UInt64 = 0
    for index in 0..<count {
        let result = Walker.translate(
            configuration, root: root, memory: memory, iova: IOVA(iovas[index]), access: .read)
        if case .translated(let translation) = result { sum &+= translation.pa.rawValue }
    }
    return sum
}

/// Input addresses in an order that no cache foresees, the same in every run.
final class RandomAddresses {
    let pointer: UnsafeMutablePointer<UInt64>

    /// `count` addresses, each somewhere in one of the first `pages` pages of 4 KiB.
    init(count: Int, pages: UInt64) {
        pointer = .allocate(capacity: count)
        // splitmix64; the seed is of no importance.
        var state: UInt64 = 0x5eed
        for index in 0..<count {
            state &+= 0x9e37_79b9_7f4a_7c15
            var value = state
            value = (value ^ value >> 30) &* 0xbf58_476d_1ce4_e5b9
            value = (value ^ value >> 27) &* 0x94d0_49bb_1331_11eb
            value ^= value >> 31
            (pointer + index).initialize(to: (value % pages) << 12 | (value >> 52))
        }
    }

    deinit { pointer.deallocate() }
}
