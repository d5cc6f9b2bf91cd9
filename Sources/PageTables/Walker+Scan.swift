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
            stage, pages: HostPages(), memory: memory, budget: budget, notes: WordProgressions.self, visit: visit)
    }

    /// Of a tree whose pages are where `pages` says.
    static func scan<Pages: TablePages>(
        _ stage: TranslationStage, pages: Pages, memory: MemoryView, budget: ScanBudget
    ) -> TableTree {
        scan(stage, pages: pages, memory: memory, budget: budget, notes: NoWordNotes.self) { _ in }
    }

    private static func scan<Pages: TablePages, Notes: WordNotes & ~Copyable>(
        _ stage: TranslationStage, pages: Pages, memory: MemoryView, budget: ScanBudget, notes: Notes.Type,
        visit: (ScannedTable) -> Void
    ) -> TableTree {
        switch stage.configuration.format {
        case .vtdSecondStage:
            let scanner = TreeScanner<VTDSecondStage, Pages, Notes>(stage, pages: pages, memory: memory, budget: budget)
            return scanner.scan(visit)
        case .amdV1:
            let scanner = TreeScanner<AMDv1, Pages, Notes>(stage, pages: pages, memory: memory, budget: budget)
            return scanner.scan(visit)
        case .x86_64:
            let scanner = TreeScanner<X86_64, Pages, Notes>(stage, pages: pages, memory: memory, budget: budget)
            return scanner.scan(visit)
        }
    }
}
