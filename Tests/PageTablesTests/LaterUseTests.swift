import IOMMUModel
import PageTables
import Testing

/// Tables that many entries lead to.
struct LaterUseTests {
    @Test(arguments: Shape.all(haw: 46))
    func `Uses of a table after its first are listed up to the budget of runs, and the tree says so`(shape: Shape)
        throws
    {
        let machine = try TestMemory(pages: 4)
        let top = shape.configuration.topLevel
        // Four entries of the root lead to one table, and every entry of that to another.
        for index in 0..<4 { machine.set(machine.page(0), index, shape.table(machine.page(1), level: top)) }
        for index in 0..<512 { machine.set(machine.page(1), index, shape.table(machine.page(2), level: top - 1)) }
        let stage = TranslationStage(configuration: shape.configuration, root: machine.base)
        for (runs, uses) in [(3, 4), (10, 4 + 8), (513, 4 + 511), (514, 4 + 512), (5000, 4 + 512)] {
            let tree = Walker.scan(stage, memory: machine.view, budget: ScanBudget(runs: runs))
            #expect(tree.isComplete == (uses == 516), "\(runs)")
            #expect(tree.reuse.reduce(0) { $0 + $1.uses.count } == uses, "\(runs)")
            #expect(tree.nodeCount == 3)
        }
    }
}
