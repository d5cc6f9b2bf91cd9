import DomainStore
import Foundation
import Testing

/// The kernel under the devices is replaced.
@Suite struct LiveUpdateTests {
    private let folder: ScratchFolder
    private let store: String

    init() throws {
        folder = try ScratchFolder()
        store = folder["store"]
    }

    @Test(arguments: TestMachine.kinds)
    func `a device reaches the same memory in every phase, update after update`(unit: UnitDescription) throws {
        let (machine, first) = try TestMachine.mapped(unit)
        try machine.attach(TestMachine.disk, to: first)
        try machine.attach(TestMachine.other, to: first)
        let devices = [TestMachine.nic, TestMachine.disk, TestMachine.other]
        var value: UInt8 = 0
        func check() throws {
            for device in devices {
                value &+= 1
                try machine.write(device, iova: IOVA(0x1_2345), [value])
                #expect(
                    try machine.memory(at: PhysicalAddress(TestMachine.memory.rawValue + 0x2345), byteCount: 1)[0]
                        == value)
            }
        }
        for round in 1...3 {
            for device in devices { try machine.preserve(device) }
            try check()
            try machine.freeze()
            try check()
            #expect(try machine.seal(into: store).generation == UInt64(round))
            try machine.jump()
            try check()
            let lines = try machine.restore(from: store)
            #expect(lines.map(\.requester) == devices)
            #expect(lines.allSatisfy { $0.state == .restored })
            try check()
            let replaced = try machine.replace {
                do { try check() } catch { Issue.record(error) }
            }
            #expect(replaced.replaced.map(\.requester) == devices)
            try machine.finish()
            try check()
            #expect(try machine.problems() == [])
            #expect(machine.hardware.findStaleEntries().isEmpty)
            #expect(machine.hardware.nonce == nil)
            // The new kernel's address space can be changed again.
            let ioas = try #require(machine.ioas(of: TestMachine.nic))
            try machine.map(
                ioas, iova: IOVA(UInt64(round) << 32), to: TestMachine.memory, byteCount: 8192)
            try machine.write(TestMachine.nic, iova: IOVA(UInt64(round) << 32), [1])
        }
        #expect(machine.hardware.units.allSatisfy { $0.counters.faults == 0 })
    }

    @Test(arguments: TestMachine.kinds.dropFirst())
    func `requests with a PASID go over with their device`(unit: UnitDescription) throws {
        let (machine, _) = try TestMachine.mapped(unit)
        let pasid = try #require(PASID(5))
        let own = try machine.createIOAS()
        try machine.map(own, iova: IOVA(0x1_0000), to: PhysicalAddress(0x80_0000), byteCount: 4096)
        try machine.attach(TestMachine.nic, pasid: pasid, to: own)
        try machine.leave(into: store)
        try machine.comeBack(from: store)
        try machine.write(TestMachine.nic, pasid: pasid, iova: IOVA(0x1_0000), [1])
        try machine.write(TestMachine.nic, iova: IOVA(0x1_0000), [2])
        #expect(try machine.memory(at: PhysicalAddress(0x80_0000), byteCount: 1)[0] == 1)
        #expect(try machine.memory(at: TestMachine.memory, byteCount: 1)[0] == 2)
        #expect(try machine.problems() == [])
    }

    @Test func `a device that is not preserved is blocked by the freeze, and not by a thaw`() throws {
        let (machine, ioas) = try TestMachine.mapped()
        try machine.attach(TestMachine.disk, to: ioas)
        try machine.preserve(TestMachine.nic)
        try machine.freeze()
        #expect(throws: DMAFault.self) { try machine.read(TestMachine.disk, iova: IOVA(0x1_0000), byteCount: 1) }
        try machine.thaw()
        #expect(try machine.read(TestMachine.disk, iova: IOVA(0x1_0000), byteCount: 1) == [0])
        try machine.unpreserve(TestMachine.nic)
        try machine.unmap(ioas, iova: IOVA(0x1_0000), byteCount: 0x1_0000)
    }

    @Test func `what was sealed before a thaw does not count, and a later seal does`() throws {
        let (machine, ioas) = try TestMachine.mapped()
        try machine.preserve(TestMachine.nic)
        try machine.freeze()
        _ = try machine.seal(into: store)
        #expect(machine.hardware.nonce != nil)
        try machine.thaw()
        #expect(machine.hardware.nonce == nil)
        let states = try StoreLocation(store).generations().map(\.state)
        guard case .revoked = states.first, case .open = states.last, states.count == 2 else {
            Issue.record("\(states)")
            return
        }
        try machine.unpreserve(TestMachine.nic)
        try machine.map(ioas, iova: IOVA(0x8_0000), to: TestMachine.memory, byteCount: 4096)
        try machine.leave(into: store)
        try machine.comeBack(from: store)
        try machine.write(TestMachine.nic, iova: IOVA(0x8_0000), [5])
    }

    @Test func `a kernel that died before its seal has handed nothing over`() throws {
        let (machine, _) = try TestMachine.mapped()
        try machine.preserve(TestMachine.nic)
        try machine.freeze()
        try machine.jump()
        try FileManager.default.createDirectory(atPath: store, withIntermediateDirectories: false)
        #expect(throws: StoreError.emptyDirectory(path: store)) { try machine.restore(from: store) }
        #expect(machine.phase == .jumped)
    }

    @Test func `another machine's seal is refused`() throws {
        let (machine, _) = try TestMachine.mapped()
        let (other, _) = try TestMachine.mapped(seed: 2)
        try machine.leave(into: store)
        try other.leave(into: folder["other"])
        let refusal = try #require(throws: RestoreRefusal.self) { try machine.restore(from: folder["other"]) }
        #expect(refusal.errno != nil)
        // Its own is still there.
        try machine.comeBack(from: store)
    }

    @Test func `a device whose table was damaged is quarantined, and the other goes on`() throws {
        let (machine, _) = try TestMachine.mapped()
        let second = try machine.createIOAS()
        try machine.attach(TestMachine.disk, to: second)
        try machine.map(second, iova: IOVA(0x1_0000), to: PhysicalAddress(0x80_0000), byteCount: 4096)
        let tables = try machine.withEngine { engine in
            engine.attachment(TestMachine.nic).map { engine.tablePages(of: $0.domain) } ?? []
        }
        let leaf = try #require(tables.first { $0.level == 0 })
        try machine.leave([TestMachine.nic, TestMachine.disk], into: store)
        // The page at IOVA 0x11000 leads to a page of tables.
        let word = PhysicalAddress(leaf.address.rawValue + 0x11 * 8)
        #expect(machine.hardware.memory.setWord(leaf.address.rawValue | 3, at: word))
        let lines = try machine.restore(from: store)
        #expect(lines.map(\.state) == [.quarantined, .restored])
        #expect(lines[0].reason.hasPrefix("audit: ") && lines[0].errno == .EINVAL)
        #expect(try machine.replace().replaced.map(\.requester) == [TestMachine.disk])
        try machine.finish()
        #expect(machine.translate(TestMachine.nic, iova: IOVA(0x1_0000), access: .read) == .notIssued)
        try machine.write(TestMachine.disk, iova: IOVA(0x1_0000), [1])
        #expect(try machine.problems() == [])
    }

    @Test func `the same seed and operations give the same bytes`() throws {
        func run(_ name: String, seed: UInt64) throws -> (store: [Data], memory: Data) {
            let (machine, _) = try TestMachine.mapped(seed: seed)
            try machine.write(TestMachine.nic, iova: IOVA(0x1_0000), Array(0...255))
            try machine.leave(into: folder[name])
            try machine.comeBack(from: folder[name])
            try machine.leave(into: folder[name])
            let files = try (1...2).map { try Data(contentsOf: URL(filePath: folder["\(name)/\($0).domstore"])) }
            return (files, Data(machine.hardware.memory.segments[0].bytes))
        }
        let (first, second, third) = (try run("a", seed: 3), try run("b", seed: 3), try run("c", seed: 4))
        #expect(first.store == second.store)
        #expect(first.memory == second.memory)
        // The nonces differ.
        #expect(first.store[0] != third.store[0] && first.store[1] != third.store[1])
        #expect(first.store[0] != first.store[1] && first.memory != third.memory)
    }

    @Test func `each phase offers what it says`() throws {
        let (machine, ioas) = try TestMachine.mapped()
        let changes: [() throws -> Void] = [
            { _ = try machine.createIOAS() },
            { try machine.map(ioas, iova: IOVA(0x8_0000), to: TestMachine.memory, byteCount: 4096) },
            { try machine.unmap(ioas, iova: IOVA(0x1_0000), byteCount: 0x1_0000) },
            { try machine.attach(TestMachine.disk, to: ioas) }, { try machine.detach(TestMachine.nic) },
            { try machine.unpreserve(TestMachine.nic) },
        ]
        let busy = Refusal(.EBUSY)
        #expect(machine.phase == .running)
        #expect(throws: Errno.EBUSY) { try machine.thaw() }
        #expect(throws: Errno.EBUSY) { try machine.seal(into: store) }
        #expect(throws: Errno.EBUSY) { try machine.jump() }
        #expect(throws: Errno.EBUSY) { try machine.restore(from: store) }
        #expect(throws: busy) { try machine.replace() }
        #expect(throws: busy) { try machine.finish() }
        #expect(throws: Refusal(.EINVAL, .preserveOwner, requester: TestMachine.disk)) {
            try machine.preserve(TestMachine.disk)
        }
        try machine.preserve(TestMachine.nic)
        #expect(throws: Errno.EBUSY) { try machine.unmap(ioas, iova: IOVA(0x1_0000), byteCount: 0x1_0000) }
        try machine.freeze()
        #expect(machine.phase == .frozen && machine.ioas(of: TestMachine.nic) == ioas)
        for change in changes { #expect(throws: Errno.EBUSY) { try change() } }
        #expect(throws: busy) { try machine.freeze() }
        _ = try machine.seal(into: store)
        #expect(throws: Errno.EBUSY) { try machine.seal(into: store) }
        try machine.jump()
        #expect(machine.phase == .jumped && machine.ioas(of: TestMachine.nic) == nil)
        for change in changes { #expect(throws: Errno.EBUSY) { try change() } }
        #expect(throws: Refusal(.EBUSY, requester: TestMachine.nic)) { try machine.preserve(TestMachine.nic) }
        _ = try machine.restore(from: store)
        // Inherited: neither changed nor handed on before it is replaced.
        #expect(machine.phase == .running && machine.ioas(of: TestMachine.nic) == nil)
        #expect(throws: Errno.EBUSY) { try machine.detach(TestMachine.nic) }
        #expect(throws: Refusal(.EBUSY, requester: TestMachine.nic)) { try machine.preserve(TestMachine.nic) }
        #expect(throws: Refusal(.EBUSY, requester: TestMachine.nic)) { try machine.finish() }
        #expect(throws: busy) { try machine.freeze() }
        _ = try machine.replace()
        #expect(throws: busy) { try machine.replace() }
        try machine.finish()
        #expect(throws: busy) { try machine.finish() }
    }

    @Test func `a seal that cannot be written leaves the machine frozen, to be thawed`() throws {
        let (machine, _) = try TestMachine.mapped()
        try machine.preserve(TestMachine.nic)
        try machine.freeze()
        try Data().write(to: URL(filePath: store))
        #expect(throws: StoreError.alreadyExists(path: store)) { try machine.seal(into: store) }
        #expect(machine.phase == .frozen && machine.hardware.nonce == nil)
        try machine.thaw()
        try machine.write(TestMachine.nic, iova: IOVA(0x1_0000), [1])
    }
}
