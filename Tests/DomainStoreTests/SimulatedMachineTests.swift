import DomainStore
import Foundation
import Testing

/// Memory, mappings and DMA of a machine that is not updated.
@Suite struct SimulatedMachineTests {
    @Test(arguments: TestMachine.kinds)
    func `what a device writes is in memory, and what is in memory it reads`(unit: UnitDescription) throws {
        let (machine, _) = try TestMachine.mapped(unit)
        let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 * 7) }
        // Over three pages, beginning in the middle of one.
        try machine.write(TestMachine.nic, iova: IOVA(0x1_0ffd), bytes)
        let place = PhysicalAddress(TestMachine.memory.rawValue + 0xffd)
        #expect(try Array(machine.memory(at: place, byteCount: bytes.count)) == bytes)
        #expect(try machine.read(TestMachine.nic, iova: IOVA(0x1_0ffd), byteCount: bytes.count) == bytes)
        #expect(
            machine.translate(TestMachine.nic, iova: IOVA(0x1_0ffd), access: .read) == .address(place))
        #expect(try machine.problems() == [])
    }

    @Test(arguments: TestMachine.kinds)
    func `a transfer ends at the first page that is not mapped`(unit: UnitDescription) throws {
        let (machine, _) = try TestMachine.mapped(unit)
        let fault = try #require(throws: DMAFault.self) {
            try machine.write(TestMachine.nic, iova: IOVA(0x1_f000), [UInt8](repeating: 7, count: 5000))
        }
        #expect(fault.iova == IOVA(0x2_0000) && fault.byteCount == 4096 && fault.access == .write)
        #expect(fault.key == AttachmentKey(TestMachine.nic))
        guard case .fault = fault.outcome else { throw fault }
        #expect(fault.description.hasPrefix("0000:00:03.0 write at 0x0000000000020000: "))
        #expect(machine.hardware.units[0].faultLog.records.map(\.iova) == [IOVA(0x2_0000)])
        let written = try machine.memory(at: PhysicalAddress(TestMachine.memory.rawValue + 0xf000), byteCount: 8192)
        #expect(written[4095] == 7 && written[4096] == 0)
    }

    @Test func `protection, unmap and detach take effect at once`() throws {
        let (machine, ioas) = try TestMachine.mapped()
        try machine.map(
            ioas, iova: IOVA(0x8_0000), to: TestMachine.memory, byteCount: 4096, protection: .read)
        #expect(try machine.read(TestMachine.nic, iova: IOVA(0x8_0000), byteCount: 1) == [0])
        #expect(throws: DMAFault.self) { try machine.write(TestMachine.nic, iova: IOVA(0x8_0000), [1]) }
        #expect(try machine.unmap(ioas, iova: IOVA(0x8_0000), byteCount: 4096) == 4096)
        #expect(throws: DMAFault.self) { try machine.read(TestMachine.nic, iova: IOVA(0x8_0000), byteCount: 1) }
        #expect(try machine.read(TestMachine.nic, iova: IOVA(0x1_0000), byteCount: 1) == [0])
        try machine.detach(TestMachine.nic)
        #expect(machine.ioas(of: TestMachine.nic) == nil)
        #expect(throws: DMAFault.self) { try machine.read(TestMachine.nic, iova: IOVA(0x1_0000), byteCount: 1) }
        // The tables went with the last device.
        #expect(try machine.withEngine { $0.hwpts.count } == 0)
        try machine.destroyIOAS(ioas)
        #expect(try machine.problems() == [])
    }

    @Test(arguments: TestMachine.kinds)
    func `devices behind different units share an address space`(unit: UnitDescription) throws {
        let (machine, ioas) = try TestMachine.mapped(unit)
        for device in [TestMachine.disk, TestMachine.other] {
            try machine.attach(device, to: ioas)
            #expect(machine.ioas(of: device) == ioas)
            try machine.write(device, iova: IOVA(0x1_0000), [9])
        }
        #expect(try machine.unmap(ioas, iova: IOVA(0x1_0000), byteCount: 0x1_0000) == 0x1_0000)
        for device in [TestMachine.nic, TestMachine.disk, TestMachine.other] {
            #expect(throws: DMAFault.self) { try machine.write(device, iova: IOVA(0x1_0000), [9]) }
        }
        #expect(try machine.problems() == [])
    }

    @Test(arguments: TestMachine.kinds.dropFirst())
    func `requests with a PASID have an address space of their own`(unit: UnitDescription) throws {
        let (machine, _) = try TestMachine.mapped(unit)
        let pasid = try #require(PASID(5))
        let own = try machine.createIOAS()
        try machine.map(own, iova: IOVA(0x1_0000), to: PhysicalAddress(0x80_0000), byteCount: 4096)
        try machine.attach(TestMachine.nic, pasid: pasid, to: own)
        #expect(machine.ioas(of: TestMachine.nic, pasid: pasid) == own)
        try machine.write(TestMachine.nic, pasid: pasid, iova: IOVA(0x1_0000), [1])
        try machine.write(TestMachine.nic, iova: IOVA(0x1_0000), [2])
        #expect(try machine.memory(at: PhysicalAddress(0x80_0000), byteCount: 1)[0] == 1)
        #expect(try machine.memory(at: TestMachine.memory, byteCount: 1)[0] == 2)
    }

    @Test func `what cannot be is answered with the errno of iommufd`() throws {
        let (machine, ioas) = try TestMachine.mapped()
        func map(_ iova: UInt64, _ address: UInt64, _ bytes: UInt64, in space: IOASID? = nil) throws {
            try machine.map(space ?? ioas, iova: IOVA(iova), to: PhysicalAddress(address), byteCount: bytes)
        }
        #expect(throws: Errno.EINVAL) { try map(0x1, 0x40_0000, 4096) }
        #expect(throws: Errno.EINVAL) { try map(0x10_0000, 0, 4096) }
        #expect(throws: Errno.EINVAL) { try map(0x10_0000, 0x10_0000 + (16 << 20) - 4096, 8192) }
        #expect(throws: Errno.EINVAL) { try map(1 << 48, 0x40_0000, 4096) }
        #expect(throws: Errno.EEXIST) { try map(0x1_0000, 0x40_0000, 4096) }
        #expect(throws: Errno.ENOENT) { try map(0x10_0000, 0x40_0000, 4096, in: IOASID(999)) }
        #expect(throws: Errno.ENOENT) { try machine.unmap(ioas, iova: IOVA(0x20_0000), byteCount: 4096) }
        #expect(throws: Errno.ENODEV) { try machine.attach(RequesterID("00:1f.0")!, to: ioas) }
        #expect(throws: Errno.ENOENT) { try machine.attach(TestMachine.disk, to: IOASID(999)) }
        #expect(throws: Errno.EBUSY) { try machine.attach(TestMachine.nic, to: ioas) }
        #expect(throws: Errno.EINVAL) { try machine.attach(TestMachine.nic, to: machine.createIOAS()) }
        #expect(throws: Errno.ENOENT) { try machine.detach(TestMachine.disk) }
        #expect(throws: Errno.EBUSY) { try machine.destroyIOAS(ioas) }
        // The page after the last one holds tables.
        #expect(throws: Errno.EFAULT) { try machine.memory(at: PhysicalAddress(0x110_0000), byteCount: 1) }
        #expect(throws: Errno.EFAULT) { try machine.memory(at: PhysicalAddress(0x10_0000), byteCount: 0) }
        #expect(throws: Errno.EINVAL) {
            try SimulatedMachine(.init(memoryBytes: 5000, units: [.intelVTd(UnitID(1))], devices: []))
        }
        #expect(throws: MachineError.unknownUnit(UnitID(1), of: TestMachine.nic)) {
            try SimulatedMachine(.init(memoryBytes: 4096, units: [], devices: [.init(vfio: TestMachine.nic)]))
        }
        #expect(try machine.problems() == [])
    }
}
