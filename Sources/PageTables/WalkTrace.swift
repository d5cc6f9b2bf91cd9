import IOMMUModel

/// One walk, level by level, for display. Nothing is written.
public struct WalkTrace: Sendable, Hashable {
    /// One entry that the walk read.
    public struct Step: Sendable, Hashable {
        /// Where the entry is.
        public let entryAddress: PhysicalAddress
        /// What it says; its level and word with it.
        public let entry: PageTableEntry
        /// The rights granted so far, this entry included.
        public let protection: Protection

        /// Of the table that the entry stands in; level 0 maps 4 KiB.
        public var level: Int { entry.level }
        /// As read.
        public var word: UInt64 { entry.word }
    }

    /// From the root down; empty when the address is out of range or the root page is absent.
    public let steps: [Step]
    /// What the walk ended in, as ``Walker/translate(_:root:memory:iova:access:)`` answers.
    public let result: TranslationResult
}

extension Walker {
    /// As ``translate(_:root:memory:iova:access:)`` with every step, and without setting accessed or dirty bits.
    public static func trace(
        _ configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView, iova: IOVA, access: Access
    ) -> WalkTrace {
        var quiet = configuration
        quiet.accessedDirty = false
        let result = translate(quiet, root: root, memory: memory, iova: iova, access: access)
        guard iova <= configuration.lastIOVA else { return WalkTrace(steps: [], result: result) }
        var steps: [WalkTrace.Step] = []
        var table = root.pageBase
        var protection: Protection = .readWrite
        for level in (0...configuration.topLevel).reversed() {
            let index = iova.rawValue &>> UInt64(12 + 9 * level) & 511
            let address = PhysicalAddress(table.rawValue | index &<< 3)
            guard memory.page(at: table) != nil, let word = memory.word(at: address) else { break }
            let entry = PageTableEntry.decode(word, level: level, configuration: configuration)
            protection.formIntersection(entry.protection)
            steps.append(.init(entryAddress: address, entry: entry, protection: protection))
            guard case .table(let next, _) = entry.kind else { break }
            table = next
        }
        return WalkTrace(steps: steps, result: result)
    }
}
