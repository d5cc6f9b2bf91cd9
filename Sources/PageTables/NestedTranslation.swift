import IOMMUModel

/// What a walk through a guest's tables and the host's ended in.
public struct NestedTranslation: Sendable, Hashable {
    /// One of the two stages.
    public enum Stage: Sendable, Hashable {
        /// The guest's tables.
        case first
        /// The host's tables.
        case second
    }

    /// Of the whole. A translation: the host's address, the smaller of the two page sizes, the rights of both stages;
    /// level and entry are the first stage's leaf, its address in the host's memory.
    public let result: TranslationResult
    /// Which stage ``result`` is of when it is no translation; `nil` when it is one.
    public let stage: Stage?
    /// What the guest calls it: a translation's address; the first stage's entry at fault, or its table that is not in
    /// memory; what the second stage does not translate. `nil` when the input address itself is at fault.
    public let guestAddress: PhysicalAddress?

    /// The translation, or `nil`.
    public var translation: Translation? { result.translation }
}

extension Walker {
    /// Translates one access through `first`, whose root, tables and results are addresses that `second` translates.
    ///
    /// The hardware reads the first stage's tables: `second` must let it. With ``PageTableConfiguration/accessedDirty``
    /// of a stage a successful translation sets that stage's bits; the first stage's are a write, which `second` must
    /// allow and whose dirty bit it gets. A fault changes nothing.
    public static func translate(
        first: TranslationStage, second: TranslationStage, memory: MemoryView, iova: IOVA, access: Access
    ) -> NestedTranslation {
        let walk = NestedWalk(first: first, second: second, memory: memory)
        let quiet = walk.translate(iova, access)
        guard case .translated = quiet.result, first.configuration.accessedDirty || second.configuration.accessedDirty
        else { return quiet }
        return walk.markUsed(iova, access, quiet)
    }
}

/// One walk through two stages.
struct NestedWalk {
    let first: TranslationStage
    let second: TranslationStage
    let memory: MemoryView
    let pages: GuestPages

    init(first: TranslationStage, second: TranslationStage, memory: MemoryView) {
        self.first = first
        self.second = second
        self.memory = memory
        pages = GuestPages(second: second, memory: memory)
    }

    /// Without setting bits.
    func translate(_ iova: IOVA, _ access: Access) -> NestedTranslation {
        switch first.configuration.format {
        case .vtdSecondStage: translate(VTDSecondStage.self, iova, access)
        case .amdV1: translate(AMDv1.self, iova, access)
        case .x86_64: translate(X86_64.self, iova, access)
        case .armv8Stage2: translate(Armv8Stage2.self, iova, access)
        }
    }

    private func translate<Format: PageTableFormat>(
        _ format: Format.Type, _ iova: IOVA, _ access: Access
    ) -> NestedTranslation {
        let end = FormatWalker<Format>.find(
            first.configuration, root: first.root.pageBase.rawValue, pages: pages, memory: memory,
            iova: iova.rawValue)
        switch end {
        case .refused(let result, let page):
            return NestedTranslation(result: result, stage: .second, guestAddress: PhysicalAddress(page))
        case .result(let result, let guest):
            return NestedTranslation(result: result, stage: .first, guestAddress: guest.map { PhysicalAddress($0) })
        case .word(let word, let place, let rights):
            let result = FormatWalker<Format>.result(
                word, at: PhysicalAddress(place.entry), level: place.level, rights: rights,
                first.configuration.rules, iova: iova.rawValue, access: access)
            guard case .translated(let translation) = result else {
                return NestedTranslation(
                    result: result, stage: .first, guestAddress: PhysicalAddress(place.guestEntry))
            }
            return translate(translation, access)
        }
    }

    /// The second stage's half.
    private func translate(_ upper: Translation, _ access: Access) -> NestedTranslation {
        let result = Walker.translate(pages.second, memory: memory, iova: IOVA(upper.pa.rawValue), access: access)
        guard case .translated(let lower) = result else {
            return NestedTranslation(result: result, stage: .second, guestAddress: upper.pa)
        }
        let whole = Translation(
            pa: lower.pa, pageSizeLog2: min(upper.pageSizeLog2, lower.pageSizeLog2), level: upper.level,
            rights: upper.rights & lower.rights, entryAddress: upper.entryAddress)
        return NestedTranslation(result: .translated(whole), stage: nil, guestAddress: upper.pa)
    }

    /// Sets the bits that the hardware sets in a walk known to succeed otherwise; answers the fault when the second stage
    /// does not allow it to, and then nothing is changed.
    func markUsed(_ iova: IOVA, _ access: Access, _ quiet: NestedTranslation) -> NestedTranslation {
        let steps = Walker.trace(first: first, second: second, memory: memory, iova: iova, access: access).steps
        var marked: [UInt64] = []
        for (number, step) in steps.enumerated() {
            let isDirty = access == .write && number == steps.count - 1
            let bits = first.configuration.updatedBits(dirty: isDirty)
            marked.append(step.entry.word | bits)
            guard marked[number] != step.entry.word else { continue }
            let result = Walker.translate(
                pages.second, memory: memory, iova: IOVA(step.guestEntry.rawValue), access: .write)
            guard case .translated = result else {
                return NestedTranslation(result: result, stage: .second, guestAddress: step.guestEntry)
            }
        }
        for (step, word) in zip(steps, marked) {
            _ = Walker.translate(
                second, memory: memory, iova: IOVA(step.guestEntry.rawValue),
                access: word == step.entry.word ? .read : .write)
            if word != step.entry.word { _ = memory.setWord(word, at: step.entryAddress) }
        }
        if let address = quiet.guestAddress {
            _ = Walker.translate(second, memory: memory, iova: IOVA(address.rawValue), access: access)
        }
        return quiet
    }
}

/// The tables of a first stage: a second one says where its pages are, and nothing is written.
struct GuestPages: TablePages {
    /// Sets no bits.
    let second: TranslationStage
    let memory: MemoryView

    init(second: TranslationStage, memory: MemoryView) {
        var quiet = second
        quiet.configuration.accessedDirty = false
        self.second = quiet
        self.memory = memory
    }

    func host(of page: UInt64) -> HostPage {
        let result = Walker.translate(second, memory: memory, iova: IOVA(page), access: .read)
        guard case .translated(let translation) = result else { return .refused(result) }
        return .page(translation.pa.rawValue)
    }
}
