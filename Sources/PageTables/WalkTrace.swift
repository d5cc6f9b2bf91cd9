import IOMMUModel

/// One walk, level by level, for display. Nothing is written.
public struct WalkTrace: Sendable, Hashable {
    /// One entry that the walk read.
    public struct Step: Sendable, Hashable {
        /// Where the entry is.
        public let entryAddress: PhysicalAddress
        /// What it says; its level and word with it.
        public let entry: PageTableEntry
        /// Read and write granted so far, this entry included.
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

/// One walk through a guest's tables and the host's, for display. Nothing is written.
public struct NestedTrace: Sendable, Hashable {
    /// One entry of the first stage that the walk read, and how it came there.
    public struct Step: Sendable, Hashable {
        /// What the guest calls the entry's address.
        public let guestEntry: PhysicalAddress
        /// The second stage's walk to the table that the entry stands in.
        public let table: WalkTrace
        /// Where the entry is in the host's memory.
        public let entryAddress: PhysicalAddress
        /// What it says; its level and word with it.
        public let entry: PageTableEntry
        /// Read and write granted so far by the first stage, this entry included.
        public let protection: Protection
    }

    /// From the first stage's root down; empty when the address is out of range or the root cannot be read.
    public let steps: [Step]
    /// The second stage's last walk: that of the first stage's result, or of the table that it does not translate.
    /// `nil` when the walk ended in the first stage.
    public let last: WalkTrace?
    /// What the walk ended in, as ``Walker/translate(first:second:memory:iova:access:)`` answers.
    public let result: NestedTranslation
}

extension Walker {
    /// As ``translate(_:root:memory:iova:access:)`` with every step, and without setting accessed or dirty bits.
    public static func trace(
        _ configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView, iova: IOVA, access: Access
    ) -> WalkTrace {
        var quiet = configuration
        quiet.accessedDirty = false
        let stage = TranslationStage(configuration: quiet, root: root)
        let result = Walker.translate(stage, memory: memory, iova: iova, access: access)
        var steps: [WalkTrace.Step] = []
        eachEntry(configuration, root: root, memory: memory, iova: iova, pages: HostPages()) { place, entry, rights in
            steps.append(
                .init(entryAddress: PhysicalAddress(place.entry), entry: entry, protection: rights))
        }
        return WalkTrace(steps: steps, result: result)
    }

    /// As ``trace(_:root:memory:iova:access:)``.
    public static func trace(
        _ stage: TranslationStage, memory: MemoryView, iova: IOVA, access: Access
    ) -> WalkTrace {
        trace(stage.configuration, root: stage.root, memory: memory, iova: iova, access: access)
    }

    /// As ``translate(first:second:memory:iova:access:)`` with every step of both stages, and without setting bits.
    public static func trace(
        first: TranslationStage, second: TranslationStage, memory: MemoryView, iova: IOVA, access: Access
    ) -> NestedTrace {
        let walk = NestedWalk(first: first, second: second, memory: memory)
        let result = walk.translate(iova, access)
        func secondStage(_ address: PhysicalAddress, _ access: Access) -> WalkTrace {
            trace(second, memory: memory, iova: IOVA(address.rawValue), access: access)
        }
        var steps: [NestedTrace.Step] = []
        eachEntry(first.configuration, root: first.root, memory: memory, iova: iova, pages: walk.pages) {
            place, entry, rights in
            let guest = PhysicalAddress(place.guestEntry)
            steps.append(
                .init(
                    guestEntry: guest, table: secondStage(guest.pageBase, .read),
                    entryAddress: PhysicalAddress(place.entry), entry: entry, protection: rights))
        }
        var last: WalkTrace?
        if result.stage != .first, let address = result.guestAddress {
            // A leaf was found: the access itself is what the second stage judged; otherwise a table was to be read.
            if case .leaf = steps.last?.entry.kind {
                last = secondStage(address, access)
            } else {
                last = secondStage(address, .read)
            }
        }
        return NestedTrace(steps: steps, last: last, result: result)
    }

    /// Calls `body` with every entry that a walk reads, and the rights so far.
    private static func eachEntry(
        _ configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView, iova: IOVA,
        pages: some TablePages, _ body: (WalkPlace, PageTableEntry, Protection) -> Void
    ) {
        guard configuration.contains(iova) else { return }
        var table = root.pageBase.rawValue
        var level = configuration.topLevel
        var protection = configuration.rootProtection
        while case .page(let host) = pages.host(of: table), let words = memory.words(ofPage: host) {
            let index = iova.rawValue &>> UInt64(12 + 9 * level) & 511
            let entry = PageTableEntry.decode(words[Int(index)], level: level, configuration: configuration)
            protection.formIntersection(entry.protection)
            let place = WalkPlace(level: level, entry: host | index &<< 3, guestEntry: table | index &<< 3)
            body(place, entry, protection)
            guard case .table(let next, let nextLevel) = entry.kind,
                iova.rawValue & EntryRules.skippedBits(from: level, to: nextLevel) == 0
            else { return }
            table = next.rawValue
            level = nextLevel
        }
    }
}
