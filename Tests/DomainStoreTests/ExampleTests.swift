import DomainStore
import Foundation
import Testing

/// The example of the README: two devices that work through a live update.
@Suite struct ExampleTests {
    @Test(arguments: [UnitDescription.intelVTd(UnitID(1)), .intelVTd(UnitID(1), scalable: true), .amdVi(UnitID(1))])
    func `no DMA faults, and every packet and command arrives`(unit: UnitDescription) throws {
        let folder = try ScratchFolder()
        let result = try simulate(unit, store: folder["store"])
        // One of each in every round, the last packets and commands are taken or under way.
        #expect(result.packets >= 2000)
        #expect(result.commands >= 2000)
        // The queues held work for all of the jump.
        #expect(result.blind == 40)
    }

    @Test func `the example is shorter than 150 lines`() throws {
        let source = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "ExampleSimulator.swift")
        let lines = try String(contentsOf: source, encoding: .utf8).count { $0 == "\n" }
        #expect((100..<150).contains(lines))
    }
}
