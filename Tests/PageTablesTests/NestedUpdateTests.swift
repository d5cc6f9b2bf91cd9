import IOMMUModel
import PageTables
import Testing

/// Accessed and dirty bits of two stages.
struct NestedUpdateTests {
    /// A first stage of one page at 0x5000 to guest address 0x7000_0000, its tables where the guest calls them 0x20_0000 and
    /// on; what it maps can be written, and so can its tables unless `protection` says otherwise.
    struct Machine {
        let memory: PhysicalMemory
        let guest: TestDomain
        let host: TestDomain
        let offset: UInt64 = 0x4000_0000

        init(tables protection: Protection = .readWrite) throws {
            guest = try TestDomain(
                PageTableConfiguration(format: .x86_64, topLevel: 3, signExtended: true)!, frames: 64)
            host = try TestDomain(configuration(bits: 48), frames: 256)
            try guest.map(0x5000, 0x7000_0000, 4096)
            // No driver's bits: all clear.
            for node in guest.scan().nodes {
                for index in 0..<512 {
                    guest.machine.set(node.page, index, guest.machine.get(node.page, index) & ~0x60)
                }
            }
            let base = guest.machine.base.rawValue
            try host.map(base, base + offset, 64 << 12, protection)
            try host.map(0x7000_0000, 0x9000_0000, 4096)
            var all = PhysicalMemory()
            let tables = guest.machine.memory.segments[0]
            try all.add(at: host.machine.base, byteCount: 256 << 12, region: host.machine.memory.segments[0].region)
            try all.add(at: PhysicalAddress(base + offset), byteCount: 64 << 12, region: tables.region)
            memory = all
        }

        func translate(_ access: Access, first: Bool, second: Bool) -> NestedTranslation {
            var (upper, lower) = (guest.configuration, host.configuration)
            upper.accessedDirty = first
            lower.accessedDirty = second
            return Walker.translate(
                first: .init(configuration: upper, root: guest.table.root),
                second: .init(configuration: lower, root: host.table.root), memory: memory.view, iova: IOVA(0x5000),
                access: access)
        }

        var guestWords: [UInt64] { guest.trace(0x5000).steps.map(\.word) }
        func hostLeaf(_ address: UInt64) -> UInt64 { host.trace(address).steps.last!.word }
        /// The second stage's leaf for the first stage's table at each level, from the root down.
        var tableLeaves: [UInt64] { guest.trace(0x5000).steps.map { hostLeaf($0.entryAddress.rawValue) } }
    }

    @Test func `A walk sets the bits of each stage that is told to, and writes of tables count as writes`() throws {
        let machine = try Machine()
        #expect(machine.translate(.write, first: false, second: false).translation?.pa.rawValue == 0x9000_0000)
        #expect(machine.guestWords.allSatisfy { $0 & 0x60 == 0 })
        #expect(machine.tableLeaves.allSatisfy { $0 & 0x300 == 0 })

        // The second stage alone: tables are read, the page is written.
        #expect(machine.translate(.write, first: false, second: true).translation != nil)
        #expect(machine.guestWords.allSatisfy { $0 & 0x60 == 0 })
        #expect(machine.tableLeaves.allSatisfy { $0 & 0x300 == 0x100 })
        #expect(machine.hostLeaf(0x7000_0000) & 0x300 == 0x300)

        // Both: accessed bits are written into every table.
        #expect(machine.translate(.read, first: true, second: true).translation != nil)
        #expect(machine.guestWords.map { $0 & 0x60 } == [0x20, 0x20, 0x20, 0x20])
        #expect(machine.tableLeaves.allSatisfy { $0 & 0x300 == 0x300 })
        #expect(machine.translate(.write, first: true, second: true).translation != nil)
        #expect(machine.guestWords.map { $0 & 0x60 } == [0x20, 0x20, 0x20, 0x60])
    }

    @Test func `A first stage whose tables cannot be written faults when a bit is to be set, and nothing changes`()
        throws
    {
        let machine = try Machine(tables: .read)
        let before = (machine.guestWords, machine.tableLeaves)
        let refused = machine.translate(.read, first: true, second: true)
        #expect(refused.stage == .second)
        guard case .fault(.permissionWrite, _, _) = refused.result else {
            Issue.record("\(refused.result)")
            return
        }
        #expect(refused.guestAddress == machine.guest.trace(0x5000).steps.first?.entryAddress)
        #expect(machine.guestWords == before.0 && machine.tableLeaves == before.1)
        // Without bits to set there is nothing to write.
        #expect(machine.translate(.read, first: false, second: true).translation != nil)
    }
}
