import DomainStore

/// A network card whose kernel is replaced while it does DMA; `store` is a directory.
func updateLive(_ unit: UnitDescription, store: String) throws -> [UInt8] {
    let nic = RequesterID("00:03.0")!
    let machine = try SimulatedMachine(.init(memoryBytes: 64 << 20, units: [unit], devices: [.init(vfio: nic)]))
    let ioas = try machine.createIOAS()
    try machine.attach(nic, to: ioas)
    try machine.map(ioas, iova: IOVA(0x20_0000), to: PhysicalAddress(0x40_0000), byteCount: 2 << 20)
    try machine.preserve(nic)
    try machine.freeze()
    _ = try machine.seal(into: store)
    try machine.jump()  // the old kernel is gone; memory, tables and devices are not
    try machine.write(nic, iova: IOVA(0x20_0042), [1, 2])
    let devices = try machine.restore(from: store)  // attached to the old tables, which are checked
    print(devices.map { "\($0.requester) \($0.state)" })
    _ = try machine.replace()  // the new userspace's tables, equal to the old ones
    try machine.finish()
    return try machine.read(nic, iova: IOVA(0x20_0042), byteCount: 2)
}
