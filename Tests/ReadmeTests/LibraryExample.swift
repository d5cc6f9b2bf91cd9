import Engine
import Handover
import IOMMUModel
import Restore
import Store
import Validate

/// One device, one domain, one handover; `path` is the generation file. The device's DMA lands where it did before.
func handOver(_ device: RequesterID, on machine: Machine, to path: String) throws -> DMAOutcome {
    var engine = try LiveEngine.start(machine) { print($0.name, $0.argumentText) }
    let file = try engine.addBacking(.memfd, base: PhysicalAddress(0x4000_0000), byteCount: 1 << 30, sealed: true)
    let ioas = try engine.createIOAS()
    let hwpt = try engine.createHWPT(ioas: ioas, unit: UnitID(1))
    try engine.map(ioas: ioas, iova: IOVA(0x20_0000), byteCount: 2 << 20, backing: file, protection: .readWrite)
    if let group = engine.group(of: device) { try engine.claimOwner(group.id, token: 1) }
    try engine.attach(device, to: hwpt)
    try engine.mark(hwpt, token: 7)
    try engine.preserve(device, in: engine.createSession("update"))
    guard case .frozen(var frozen) = engine.freeze() else { throw Errno.EBUSY }
    let nonce = HandoverNonce(bytes: frozen.drawNonce())
    var generation = try GenerationWriter(creating: path, number: 1, origin: .engine)
    _ = try generation.seal(frozen.snapshot(), nonce: nonce)
    let survivor = frozen.jump()  // the old engine is gone; memory, tables and devices are not
    survivor.setNonce(nonce?.bytes)
    try generation.release()
    let record = try ManifestChecked.check(GenerationReader(path: path), memory: MemoryNonce(survivor.nonce))
    _ = try Restorer.restore(record.snapshot, machine: survivor, configuration: .init()) { print($0.name) }
    return survivor.dma(device, iova: IOVA(0x20_0042), access: .write)
}
