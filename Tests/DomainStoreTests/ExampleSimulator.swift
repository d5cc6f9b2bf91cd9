import DomainStore

/// What a device sees: 64-bit words behind its IOMMU.
struct Port {
    let machine: SimulatedMachine
    let requester: RequesterID

    func read(_ iova: UInt64, words: Int) throws(DMAFault) -> [UInt64] {
        try machine.read(requester, iova: IOVA(iova), byteCount: 8 * words)
            .withUnsafeBytes { Array($0.bindMemory(to: UInt64.self)) }
    }

    func write(_ iova: UInt64, _ words: [UInt64]) throws(DMAFault) {
        try machine.write(requester, iova: IOVA(iova), words.withUnsafeBytes { Array($0) })
    }
}

/// What a driver sees: the same words in memory, by the addresses that it tells its device.
struct Window {
    let bytes: UnsafeMutableRawBufferPointer

    /// Maps `pages` pages of memory from `address` on at IOVA 0, in an address space of the device's own.
    init(_ machine: SimulatedMachine, _ requester: RequesterID, pages: Int, at address: UInt64) throws {
        let ioas = try machine.createIOAS()
        try machine.attach(requester, to: ioas)
        try machine.map(ioas, iova: IOVA(0), to: PhysicalAddress(address), byteCount: UInt64(pages) << 12)
        bytes = try machine.memory(at: PhysicalAddress(address), byteCount: pages << 12)
    }

    subscript(iova: UInt64) -> UInt64 {
        get { bytes.load(fromByteOffset: Int(iova), as: UInt64.self) }
        nonmutating set { bytes.storeBytes(of: newValue, toByteOffset: Int(iova), as: UInt64.self) }
    }
}

/// A network card that receives. Its ring at IOVA 0 has 256 descriptors of two words: address of a buffer, bytes in it.
struct NetworkCard {
    let port: Port
    var packets: UInt64 = 0

    /// A packet of 1 KiB comes in, if there is an empty buffer for it.
    mutating func step() throws(DMAFault) {
        let (number, place) = (packets, packets % 256 * 16)
        let descriptor = try port.read(place, words: 2)
        guard descriptor[1] == 0 else { return }
        try port.write(descriptor[0], (0..<128).map { number << 8 | $0 })
        try port.write(place + 8, [1024])
        packets += 1
    }
}

/// Takes packets off the ring, in order and as long as they are whole, and gives their buffers back. Buffers begin at IOVA 0x1000.
struct NetworkDriver {
    let window: Window
    var received: UInt64 = 0

    init(_ window: Window) {
        self.window = window
        for slot in 0..<256 as Range<UInt64> { window[slot * 16] = 0x1000 + slot * 1024 }
    }

    mutating func step() {
        while window[received % 256 * 16 + 8] != 0 {
            let buffer = window[received % 256 * 16]
            guard (0..<128).allSatisfy({ window[buffer + $0 * 8] == received << 8 | $0 }) else { return }
            window[received % 256 * 16 + 8] = 0
            received += 1
        }
    }
}

/// A disk like NVMe: 64 submissions of 8 words at IOVA 0 (operation, block, buffer), 64 completions of 2 words at 0x1000.
struct Disk {
    let port: Port
    var blocks: [UInt64: [UInt64]] = [:]
    var head: UInt64 = 0
    var tail: UInt64 = 0  // the driver's doorbell

    /// Carries out one command: even blocks are written from memory, and read back into it.
    mutating func step() throws(DMAFault) {
        guard head < tail else { return }
        let command = try port.read(head % 64 * 64, words: 3)
        switch command[0] {
        case 1: blocks[command[1]] = try port.read(command[2], words: 64)
        default: try port.write(command[2], blocks[command[1]] ?? [])
        }
        try port.write(0x1000 + head % 64 * 16, [head, head / 64 % 2 + 1])  // the phase says that it is new
        head += 1
    }
}

/// Keeps the queue full of writes of blocks and reads of the same, as long as they are whole. Buffers begin at IOVA 0x2000.
struct DiskDriver {
    let window: Window
    var completed: UInt64 = 0

    mutating func step(_ disk: inout Disk) {
        while completed < disk.tail, window[0x1000 + completed % 64 * 16 + 8] == completed / 64 % 2 + 1 {
            let (block, buffer) = (completed / 2, 0x2000 + completed % 64 * 512)
            guard (0..<64).allSatisfy({ window[buffer + $0 * 8] == block << 8 | $0 }) else { return }
            completed += 1
        }
        while disk.tail < completed + 64 {
            let (number, buffer) = (disk.tail, 0x2000 + disk.tail % 64 * 512)
            for word in 0..<64 as Range<UInt64> {
                window[buffer + word * 8] = number % 2 == 0 ? (number / 2) << 8 | word : 0
            }
            window[number % 64 * 64] = number % 2 + 1
            window[number % 64 * 64 + 8] = number / 2
            window[number % 64 * 64 + 16] = buffer
            disk.tail += 1
        }
    }
}

/// Both devices at work before, during and after the update: what arrived whole, and how much of it without a kernel.
func simulate(_ unit: UnitDescription, store: String) throws -> (packets: UInt64, commands: UInt64, blind: UInt64) {
    let (nic, nvme) = (RequesterID("00:03.0")!, RequesterID("00:04.0")!)
    let machine = try SimulatedMachine(
        .init(memoryBytes: 16 << 20, units: [unit], devices: [.init(vfio: nic), .init(vfio: nvme)]))
    var card = NetworkCard(port: Port(machine: machine, requester: nic))
    var disk = Disk(port: Port(machine: machine, requester: nvme))
    var network = NetworkDriver(try Window(machine, nic, pages: 65, at: 0x40_0000))
    var storage = DiskDriver(window: try Window(machine, nvme, pages: 10, at: 0x80_0000))
    func devices() { _ = (try? card.step(), try? disk.step()) }
    func work(rounds: Int) {
        for _ in 0..<rounds {
            storage.step(&disk)
            devices()
            network.step()
        }
    }
    work(rounds: 1000)
    for device in [nic, nvme] { try machine.preserve(device) }
    try machine.freeze()
    devices()
    _ = try machine.seal(into: store)
    try machine.jump()
    let before = card.packets + disk.head
    for _ in 0..<20 { devices() }  // no kernel and no driver: on with what is in the queues
    let blind = card.packets + disk.head - before
    guard try machine.restore(from: store).allSatisfy({ $0.state == .restored }) else { throw Errno.EIO }
    _ = try machine.replace(meanwhile: devices)
    try machine.finish()
    work(rounds: 1000)
    guard machine.hardware.units[0].counters.faults == 0 else { throw Errno.EFAULT }
    return (network.received, storage.completed, blind)
}
