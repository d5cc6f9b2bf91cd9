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
        let iovas = RandomAddresses(count: pages, pages: UInt64(pages))
        return Benchmark(
            name: "translate", summary: "random translation over 10^6 mapped 4K pages", goal: 1.10,
            subject: Side(label: "swift", operations: pages) { count in
                let view = ground.memory.view
                let root = PhysicalAddress(ground.referenceRoot)
                return translateEach(ground.configuration, root: root, view, iovas.pointer, count: count)
            },
            reference: Side(label: "c", operations: pages) { count in
                ref_translate_each(
                    &ground.referenceConfiguration, ground.referenceRoot, &ground.referenceMemory, iovas.pointer, count)
            })
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
