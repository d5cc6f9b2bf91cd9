import Engine
import Handover
import Hardware
import IOMMUModel
import PageTables
import Restore
import Snapshot
import Testing

@testable import Scenario

/// Devices that never stop: an access to every mapping after every operation, in the jump, and at each instant at which a
/// lookup entry has changed and no cache knows it yet.
@Suite("A storm of DMA from the preserve to the finish is never hit")
struct HitlessStormTests {
    /// One access with where it must end.
    struct Probe {
        var key: AttachmentKey
        var iova: IOVA
        var address: PhysicalAddress
    }

    final class Storm {
        private unowned let machine: Machine
        private let probes: [Probe]
        private(set) var count = 0
        /// Accesses made while an entry was being changed.
        private(set) var instants = 0
        private(set) var wrong: [String] = []

        init(_ machine: Machine, _ probes: [Probe]) {
            self.machine = machine
            self.probes = probes
            machine.onEntryChange { [unowned self] in
                instants += probes.count * 2
                blow("an entry changed")
            }
        }

        deinit { machine.onEntryChange(nil) }

        func blow(_ place: String) {
            for probe in probes {
                for access in [Access.read, .write] {
                    count += 1
                    let outcome = machine.dma(
                        probe.key.requester, pasid: probe.key.pasid, iova: probe.iova, access: access)
                    // As if the caches had just dropped it.
                    let walked = machine.walk(probe.key, probe.iova, access)
                    guard outcome != .address(probe.address) || walked != outcome, wrong.count < 5 else { continue }
                    wrong.append(
                        "\(place): \(probe.key) \(access) at \(probe.iova): \(outcome), past caches \(walked), "
                            + "not \(probe.address)")
                }
            }
        }
    }

    /// Sizes of one format whose pages have whole areas of their own.
    private static func sizes(_ configuration: PageTableConfiguration) -> [UInt64] {
        (12...46).filter { configuration.pageSizes >> $0 & 1 == 1 }
    }

    private static let flavours = FlavouredMachine.Flavour.allCases.filter { !$0.isNested }

    @Test("Every page size of every format", arguments: flavours)
    func hitless(flavour: FlavouredMachine.Flavour) throws { #expect(try wrong(flavour, defect: nil) == []) }

    @Test("An engine that blocks for an instant is caught", arguments: flavours)
    func caught(flavour: FlavouredMachine.Flavour) throws { #expect(try wrong(flavour, defect: .nullWindow) != []) }

    /// What went wrong for a device on every page size of `flavour`; the second engine may have a bug.
    private func wrong(_ flavour: FlavouredMachine.Flavour, defect: EngineDefect?) throws -> [String] {
        let machine = try RecorderTests.machine([flavour])
        let buffer = EventBuffer()
        var engine = try LiveEngine.start(machine) { buffer.append($0) }
        let device = RequesterID(bus: 0, device: 1, function: 0)!
        let file = try engine.addBacking(.physical)
        try engine.claimOwner(GroupID(1), token: 7)
        let keys = [AttachmentKey(device)] + (flavour.hasPASIDs ? [AttachmentKey(device, PASID(64)!)] : [])
        var probes: [Probe] = []
        var found: Set<Int> = []
        for (number, key) in keys.enumerated() {
            let ioas = try engine.createIOAS()
            let hwpt = try engine.createHWPT(ioas: ioas, unit: UnitID(1), format: flavour.format)
            let sizes = Self.sizes(engine.domain(engine.hwpt(hwpt)!.domain)!.table!.configuration)
            for log2 in sizes {
                // At 2^(n+1) nothing but a page of 2^n bytes fits, there as in memory, and nothing else is there.
                let place = UInt64(2) << log2
                try engine.map(
                    ioas: ioas, iova: IOVA(place), byteCount: 1 << log2, backing: file, offset: place,
                    protection: .readWrite)
                for offset in [0, UInt64(1) << log2 - 1, UInt64(number) << 4 | 8] {
                    probes.append(
                        Probe(key: key, iova: IOVA(place + offset), address: PhysicalAddress(place + offset)))
                }
                let table = engine.domain(engine.hwpt(hwpt)!.domain)!.table!
                let walk = Walker.translate(
                    table.configuration, root: table.root, memory: machine.memory.view, iova: IOVA(place),
                    access: .read)
                guard case .translated(let leaf) = walk else {
                    Issue.record("2^\(log2): \(walk)")
                    continue
                }
                #expect(leaf.pageSizeLog2 == Int(log2))
                found.insert(leaf.pageSizeLog2)
            }
            try engine.mark(hwpt, token: UInt64(number + 1))
            try engine.attach(key.requester, pasid: key.pasid, to: hwpt)
        }
        // VT-d and x86-64: 4K, 2M, 1G. AMD v1: every power of two, but those that are a whole level's entry more.
        #expect(found.count >= (flavour == .amdV1 ? 30 : 3), "\(found.sorted())")

        let storm = Storm(machine, probes)
        storm.blow("before")
        let session = try engine.createSession("s")
        try engine.preserve(device, in: session)
        storm.blow("preserved")
        guard case .frozen(let frozen) = engine.freeze() else {
            Issue.record("the freeze was refused")
            return []
        }
        storm.blow("frozen")
        let snapshot = frozen.snapshot()
        _ = frozen.jump()
        storm.blow("in the jump")
        var configuration = EngineConfiguration()
        configuration.defect = defect
        var restored = try Restorer.restore(snapshot, machine: machine, configuration: configuration) { _ in
            storm.blow("restoring")
        }
        #expect(restored.devices.filter { $0.requester == device }.allSatisfy { $0.state == .restored })
        var claimer = Claimer(snapshot, sessions: restored.sessions, attached: restored.domains, devices: [device])
        _ = try claimer.claim(&restored.engine)
        _ = try claimer.adopt(&restored.engine)
        _ = try claimer.rebuild(&restored.engine)
        #expect(claimer.compare(&restored.engine).differing.isEmpty)
        let replaced = try claimer.replace(&restored.engine) { _ in storm.blow("between two devices") }
        #expect(replaced.replaced == keys && replaced.refused.isEmpty)
        try claimer.finish(&restored.engine)
        storm.blow("finished")
        #expect(storm.instants > 0)
        print("storm \(flavour): \(found.count) page sizes, \(storm.count) accesses, \(storm.instants) at an instant")
        return storm.wrong
    }
}
