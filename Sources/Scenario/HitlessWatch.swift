import Engine
import Hardware
import IOMMUModel

/// Devices do DMA at the very instants at which an engine exchanges their lookup entries: what translated before must
/// translate so at each of them.
struct HitlessWatch {
    private let machine: Machine
    /// One access of each device that is answered with an address now, and that address.
    private let probes: [(key: AttachmentKey, iova: IOVA, access: Access, outcome: DMAOutcome)]

    /// Machines with more devices are not watched: each change asks every device.
    private static let limit = 64

    init(_ machine: Machine, _ devices: [DMAWitness.Device]) {
        self.machine = machine
        guard machine.devices.count <= Self.limit else {
            probes = []
            return
        }
        probes = devices.compactMap { device in
            guard !device.isGated, let run = device.runs.first else { return nil }
            let access: Access = run.protection.contains(.read) ? .read : .write
            let outcome = machine.dma(device.requester, pasid: device.key.pasid, iova: run.range.first, access: access)
            guard case .address = outcome else { return nil }
            return (device.key, run.range.first, access, outcome)
        }
    }

    /// Runs `body`.
    ///
    /// - Throws: ``ScenarioError/broken(what:)`` when a device saw another translation, or none, at some instant of it.
    func during<R>(_ body: () throws -> R) throws -> R {
        let seen = Seen()
        let (machine, probes) = (machine, probes)
        machine.onEntryChange { [unowned machine] in
            for probe in probes where seen.what == nil {
                // With what the caches still hold, and as if they had just dropped it.
                let cached = machine.dma(
                    probe.key.requester, pasid: probe.key.pasid, iova: probe.iova, access: probe.access)
                let walked = machine.walk(probe.key, probe.iova, probe.access)
                guard let wrong = [cached, walked].first(where: { $0 != probe.outcome }) else { continue }
                seen.what =
                    "\(probe.key) \(probe.access) at \(probe.iova) while its entry was exchanged: \(wrong), "
                    + "expected \(probe.outcome)"
            }
        }
        defer { machine.onEntryChange(nil) }
        let result = try body()
        if let what = seen.what { throw ScenarioError.broken(what: what) }
        return result
    }

    /// What a device saw that was wrong, in words.
    private final class Seen { var what: String? }
}

extension Machine {
    /// What memory says of one access, past all caches; nothing is written.
    func walk(_ key: AttachmentKey, _ iova: IOVA, _ access: Access) -> DMAOutcome {
        guard let unit = device(key.requester).flatMap({ unit($0.unit) }) else { return .notIssued }
        return DMAOutcome(
            unit.hardware.observe(
                key.requester.rid, pasid: key.pasid, iova: iova, access: access, memory: memory.view))
    }
}
