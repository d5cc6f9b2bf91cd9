import DomainStore

/// A machine with two devices behind one unit, and a third behind a second one.
struct TestMachine {
    static let kinds: [UnitDescription] = [
        .intelVTd(UnitID(1)), .intelVTd(UnitID(1), scalable: true), .amdVi(UnitID(1)),
    ]
    static let nic = RequesterID("00:03.0")!
    static let disk = RequesterID("00:04.0")!
    static let other = RequesterID("01:00.0")!
    static let memory = PhysicalAddress(0x40_0000)

    static func make(_ unit: UnitDescription = kinds[0], seed: UInt64 = 1) throws -> SimulatedMachine {
        var second = unit.kind == .amdVi ? UnitDescription.amdVi(UnitID(2)) : .intelVTd(UnitID(2))
        second.hostAddressWidth = unit.hostAddressWidth
        var configuration = SimulatedMachine.Configuration(
            memoryBytes: 16 << 20, units: [unit, second],
            devices: [
                .init(vfio: nic, pasidBits: 16), .init(vfio: disk), .init(vfio: other, unit: UnitID(2)),
            ])
        configuration.tablePages = 256
        configuration.seed = seed
        return try SimulatedMachine(configuration)
    }

    /// With 16 pages of memory mapped at IOVA 0x10000 for the first device.
    static func mapped(
        _ unit: UnitDescription = kinds[0], seed: UInt64 = 1
    ) throws -> (machine: SimulatedMachine, ioas: IOASID) {
        let machine = try make(unit, seed: seed)
        let ioas = try machine.createIOAS()
        try machine.attach(nic, to: ioas)
        try machine.map(ioas, iova: IOVA(0x1_0000), to: memory, byteCount: 0x1_0000)
        return (machine, ioas)
    }
}

extension SimulatedMachine {
    /// The old kernel's half of an update.
    func leave(_ devices: [RequesterID] = [TestMachine.nic], into store: String) throws {
        for device in devices { try preserve(device) }
        try freeze()
        _ = try seal(into: store)
        try jump()
    }

    /// The new kernel's half, for devices that all come over.
    func comeBack(from store: String) throws {
        guard try restore(from: store).allSatisfy({ $0.state == .restored }) else { throw Errno.EIO }
        _ = try replace()
        try finish()
    }

    /// What the kernel's books and the hardware have that does not fit together.
    func problems() throws -> [String] { try withEngine { $0.checkInvariants() } }
}
