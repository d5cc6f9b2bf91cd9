import CReference
import IOMMUModel
import Measurement
import PageTables

extension TableGround {
    /// The pages that the translations are random over.
    public static let translatedPages = 1_000_000

    /// Tables that map ``translatedPages`` pages of 4 KiB from input address 0 on, made by the side of C.
    public static func mapped(_ format: MeasuredFormat) throws -> TableGround {
        let ground = try TableGround(format, frames: 4096)
        ground.prepareReference()
        let errors = ground.referenceMap(translatedPages, byteCount: 4096, pa: 0x2_0000_0000)
        precondition(errors == 0, "the tables could not be built")
        return ground
    }

    /// Translates a read of each of `count` addresses in the tables of the side of C; the sum of the answers.
    public func subjectTranslate(_ iovas: UnsafePointer<UInt64>, count: Int) -> UInt64 {
        translateEach(configuration, root: PhysicalAddress(referenceRoot), memory.view, iovas, count: count)
    }

    /// What the tables of the side of C translate `iova` to for a read, 0 when they do not.
    public func address(of iova: IOVA) -> PhysicalAddress {
        let root = PhysicalAddress(referenceRoot)
        return Walker.translate(configuration, root: root, memory: memory.view, iova: iova, access: .read)
            .translation?.pa ?? PhysicalAddress(0)
    }
}

extension Benchmark {
    /// Random translations over a million mapped 4 KiB pages; both sides walk the same tables.
    public static func translate(_ format: MeasuredFormat) throws -> Benchmark {
        let ground = try TableGround.mapped(format)
        // Ten runs a round, so that a moment of the machine hits both sides.
        let pages = TableGround.translatedPages
        let (repetitions, slice) = (10, pages / 10)
        let iovas = RandomAddresses(count: pages, pages: UInt64(pages))
        let (subjectCursor, referenceCursor) = (SliceCursor(count: repetitions), SliceCursor(count: repetitions))
        return Benchmark(
            name: "translate-\(format.rawValue)",
            summary: "\(format.title): random translation over 10^6 mapped 4K pages, beside C -O2", goal: 1.10,
            repetitions: repetitions, countsInstructions: true,
            subject: Side(
                label: "swift", operations: slice,
                prepare: { subjectCursor.advance() },
                run: { count in ground.subjectTranslate(iovas.pointer + subjectCursor.position * slice, count: count) },
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
