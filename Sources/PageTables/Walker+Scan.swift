import IOMMUModel

extension Walker {
    /// Decodes the whole tree below the root table at `root` (its low 12 bits do not count).
    ///
    /// Level by level from the top; each (page, level) once, however many entries point to it. Never fails: what is wrong
    /// is in ``TableTree/defects``. Time and memory are linear in the distinct table pages, bounded by `budget`.
    public static func scan(
        _ configuration: PageTableConfiguration, root: PhysicalAddress, memory: MemoryView,
        budget: ScanBudget = ScanBudget()
    ) -> TableTree {
        let stage = TranslationStage(configuration: configuration, root: root.pageBase)
        return scan(stage, pages: HostPages(), memory: memory, budget: budget)
    }

    /// As ``scan(_:root:memory:budget:)``.
    public static func scan(
        _ stage: TranslationStage, memory: MemoryView, budget: ScanBudget = ScanBudget()
    ) -> TableTree {
        scan(stage.configuration, root: stage.root, memory: memory, budget: budget)
    }

    /// As ``scan(_:root:memory:budget:)``, and calls `visit` with each table, once per level that it is used at: what is to
    /// be made of its words costs less while they are at hand.
    public static func scan(
        _ stage: TranslationStage, memory: MemoryView, budget: ScanBudget = ScanBudget(), visit: (ScannedTable) -> Void
    ) -> TableTree {
        let stage = TranslationStage(configuration: stage.configuration, root: stage.root.pageBase)
        return scan(
            stage, pages: HostPages(), memory: memory, budget: budget, notes: WordProgressions(), visit: visit)
    }

    /// As ``scan(_:memory:budget:visit:)``, of tables of which it is known what they should be: they are held against that,
    /// and where they are so, what is known is decoded, which costs a fraction.
    ///
    /// - Parameters:
    ///   - mask: bits that may be otherwise, since the hardware updates them. Below bit 12, which is a precondition.
    ///   - expected: writes what the 512 words of the table at that page and level should be, and answers how many sequences
    ///     it has written, at most 512; 0 when it does not know.
    public static func scan(
        _ stage: TranslationStage, memory: MemoryView, budget: ScanBudget = ScanBudget(), ignoring mask: UInt64,
        expecting expected: (PhysicalAddress, Int, UnsafeMutablePointer<RecordedWords>) -> Int,
        visit: (ScannedTable) -> Void
    ) -> TableTree {
        let stage = TranslationStage(configuration: stage.configuration, root: stage.root.pageBase)
        return withoutActuallyEscaping(expected) { expected in
            scan(
                stage, pages: HostPages(), memory: memory, budget: budget,
                notes: WordExpectation(ignoring: mask, expected), visit: visit)
        }
    }

    /// Of a tree whose pages are where `pages` says.
    static func scan<Pages: TablePages>(
        _ stage: TranslationStage, pages: Pages, memory: MemoryView, budget: ScanBudget
    ) -> TableTree {
        scan(stage, pages: pages, memory: memory, budget: budget, notes: NoWordNotes()) { _ in }
    }

    private static func scan<Pages: TablePages, Notes: WordNotes & ~Copyable>(
        _ stage: TranslationStage, pages: Pages, memory: MemoryView, budget: ScanBudget,
        notes: consuming Notes,
        visit: (ScannedTable) -> Void
    ) -> TableTree {
        switch stage.configuration.format {
        case .vtdSecondStage:
            let scanner = TreeScanner<VTDSecondStage, Pages, Notes>(
                stage, pages: pages, memory: memory, budget: budget, notes: notes)
            return scanner.scan(visit)
        case .amdV1:
            let scanner = TreeScanner<AMDv1, Pages, Notes>(
                stage, pages: pages, memory: memory, budget: budget, notes: notes)
            return scanner.scan(visit)
        case .x86_64:
            let scanner = TreeScanner<X86_64, Pages, Notes>(
                stage, pages: pages, memory: memory, budget: budget, notes: notes)
            return scanner.scan(visit)
        case .armv8Stage2:
            let scanner = TreeScanner<Armv8Stage2, Pages, Notes>(
                stage, pages: pages, memory: memory, budget: budget, notes: notes)
            return scanner.scan(visit)
        }
    }
}
