import Engine
import Handover
import Hardware
import IOMMUModel
import PageTables

/// What every device's DMA must reach, taken down before the handover from the tables as they are, and asked again at
/// every stage through the machine's own units.
///
/// Every 4 KiB page of a mapping is asked, up to `pagesPerDevice` pages a device and 2^24 in all; beyond that evenly
/// spaced pages and the two ends of every run, or, where there are too many runs for that, of evenly spaced ones, of the next
/// device and in the next stage others. The bytes just outside each run that is asked are asked too.
struct DMAWitness {
    /// More pages than this of one device are sampled.
    private let pagesPerDevice: UInt64
    /// Of a host with very many devices fewer of each: a stage asks for about so many pages.
    private static let pagesInAll: UInt64 = 1 << 24

    /// The mappings of one device's requests, with one PASID or untagged.
    struct Device {
        var key: AttachmentKey
        /// Sorted, maximal runs, the interrupt window left out.
        var runs: [TranslatedRun]
        var isPassThrough: Bool
        /// The unit refuses such requests before it looks at their entry (VT-d: PASIDE is 0): what they would reach is read
        /// off the structures instead.
        var isGated: Bool

        var requester: RequesterID { key.requester }
    }

    /// One device's part of a round: what is asked of it, and how.
    private struct Probing {
        let device: Device
        /// The runs that are asked, as places in the device's.
        let runs: StrideTo<Int>
        /// Of all its runs.
        let pages: UInt64
        /// Where requests are refused before their entry is looked at: what the entry says. `nil`: as the machine answers.
        let listed: (unit: IOMMUHardware, context: RequestContext)?
    }

    /// What one round of probes came to.
    struct Round: CustomStringConvertible {
        let preferred: Access
        var probes: UInt64 = 0
        /// Probes that did not end where they must; the first one in words.
        var wrong: UInt64 = 0
        var first: String?

        var count: HandoverReport.Count { .init("DMA probes", probes) }

        var description: String { "\(wrong) of \(probes) DMA probes went wrong: \(first ?? "")" }
    }

    private(set) var devices: [Device] = []

    /// Takes down what `machine` translates now, for every device that has an entry.
    init(_ machine: Machine, pagesPerDevice: UInt64) {
        let memory = machine.memory.view
        // Thousands of requests may share one tree: its runs are in memory once.
        var known: [Asked: [TranslatedRun]] = [:]
        for (key, context) in Self.contexts(machine).sorted(by: { $0.key < $1.key }) {
            guard let unit = machine.device(key.requester).flatMap({ machine.unit($0.unit) }) else { continue }
            let isGated: Bool
            if case .context = unit.hardware.resolve(key.requester.rid, pasid: key.pasid, memory: memory) {
                isGated = false
            } else {
                isGated = true
            }
            let path = context.path.withoutMarking
            let asked = Asked(path: path, hasWindow: unit.kind.usesInterruptWindow(isTagged: false))
            let runs = known[asked] ?? Self.runs(asked, machine)
            known[asked] = runs
            devices.append(Device(key: key, runs: runs, isPassThrough: path.first == nil, isGated: isGated))
        }
        self.pagesPerDevice = max(1, min(pagesPerDevice, Self.pagesInAll / UInt64(max(1, devices.count))))
    }

    /// What the lookup structures say of every known device that they let through.
    private static func contexts(_ machine: Machine) -> [AttachmentKey: RequestContext] {
        var contexts: [AttachmentKey: RequestContext] = [:]
        for unit in machine.units {
            for entry in unit.hardware.listing(memory: machine.memory.view).entries {
                let requester = RequesterID(segment: unit.segment, rid: entry.rid)
                guard machine.device(requester)?.unit == unit.id, case .context(let context) = entry.resolution else {
                    continue
                }
                contexts[AttachmentKey(requester, entry.pasid)] = context
            }
        }
        return contexts
    }

    /// What requests are translated by, and whether those into the interrupt window are not.
    private struct Asked: Hashable {
        var path: TranslationPath
        var hasWindow: Bool
    }

    private static func runs(_ asked: Asked, _ machine: Machine) -> [TranslatedRun] {
        let all = runs(asked.path, machine)
        return asked.hasWindow && all.contains { $0.range.overlaps(IOMMUHardware.interruptWindow) }
            ? all.flatMap(outsideInterruptWindow) : all
    }

    private static func runs(_ path: TranslationPath, _ machine: Machine) -> [TranslatedRun] {
        let memory = machine.memory.view
        switch path {
        case .passThrough(let rights): return passThroughRuns(machine, rights)
        case .single(let stage):
            return Walker.scan(stage.configuration, root: stage.root, memory: memory).runs()
        case .nested(let first, let second):
            return Walker.scan(first: first, second: second, memory: memory).runs(memory: memory)
        }
    }

    /// Asks all of it: the devices in `translating` must reach what they reached, all others must fault.
    ///
    /// Not asked are alias requester ids in a group of which a device is carried: they go with their group, blocked while
    /// it is in flight, attached again with the replace.
    ///
    /// - Parameter preferred: the access to ask where both are allowed. Reads before the handover and writes after it make
    ///   the hardware set dirty bits while nobody may change a table.
    /// - Parameter stage: which of the runs are asked, where there are too many.
    func probe(
        _ machine: Machine, translating: Set<RequesterID>, preferred: Access, stage: Int = 0
    ) -> Round {
        var round = Round(preferred: preferred)
        let groups = Set(translating.compactMap { machine.device($0)?.group })
        for (index, device) in devices.enumerated() {
            if !translating.contains(device.requester), let place = machine.device(device.requester),
                !place.hasFunction, groups.contains(place.group)
            {
                continue
            }
            let probing = probing(device, index + stage, machine)
            if translating.contains(device.requester) {
                askMapped(probing, machine, &round)
                if !device.isPassThrough { askHoles(probing, machine, &round) }
            } else {
                askBlocked(probing, machine, &round)
            }
        }
        if let stale = machine.findStaleEntries().first {
            round.wrong += 1
            round.first = round.first ?? stale.description
        }
        return round
    }

    /// Asks as ``probe(_:translating:preferred:)`` does.
    ///
    /// - Throws: ``ScenarioError/broken(what:)`` for any probe that went wrong.
    func check(
        _ machine: Machine, translating: Set<RequesterID>, in phase: HandoverPhase
    ) throws(ScenarioError) -> HandoverReport.Count {
        let isBefore = [.start, .preserve, .preCopy, .freeze, .seal].contains(phase)
        let round = probe(
            machine, translating: translating, preferred: isBefore ? .read : .write,
            stage: HandoverPhase.allCases.firstIndex(of: phase) ?? 0)
        guard round.wrong == 0 else { throw .broken(what: "\(phase.rawValue): \(round)") }
        return round.count
    }

    private func probing(_ device: Device, _ index: Int, _ machine: Machine) -> Probing {
        let pages = device.runs.reduce(0) { $0 + ($1.range.lastOffset >> 12) + 1 }
        // A run has two ends, and a byte beside each of them.
        let step = pages <= pagesPerDevice ? 1 : (device.runs.count * 4 - 1) / Int(clamping: pagesPerDevice) + 1
        let runs = stride(from: index % max(1, min(step, device.runs.count)), to: device.runs.count, by: step)
        guard device.isGated, let unit = machine.device(device.requester).flatMap({ machine.unit($0.unit) }),
            case .context(var context) = unit.hardware.resolve(
                device.requester.rid, pasid: device.key.pasid, memory: machine.memory.view, asListed: true)
        else { return Probing(device: device, runs: runs, pages: pages, listed: nil) }
        context.path = context.path.withoutMarking
        return Probing(device: device, runs: runs, pages: pages, listed: (unit.hardware, context))
    }

    private func askMapped(_ probing: Probing, _ machine: Machine, _ round: inout Round) {
        let device = probing.device
        let stride = max(1, probing.pages / pagesPerDevice)
        for run in probing.runs.lazy.map({ device.runs[$0] }) {
            let count = (run.range.lastOffset >> 12) + 1
            let other: Access = round.preferred == .read ? .write : .read
            let access = run.protection.contains(round.preferred.needs) ? round.preferred : other
            var page: UInt64 = 0
            while true {
                // Another byte of the page each time.
                let offset = page << 12 | (page &* 0x9e5 & 0xfff)
                expect(probing, machine, run, offset, access, &round)
                if page == count - 1 { break }
                page = min(page + stride, count - 1)
            }
            if run.protection == .readWrite { expect(probing, machine, run, 0, other, &round) }
            for refused in [Access.read, .write] where !run.protection.contains(refused.needs) {
                expectFault(probing, machine, run.range.first, refused, &round)
            }
        }
    }

    private func askHoles(_ probing: Probing, _ machine: Machine, _ round: inout Round) {
        let runs = probing.device.runs
        for index in probing.runs {
            let range = runs[index].range
            let before = index == 0 ? nil : runs[index - 1].range.last.rawValue &+ 1
            let after = index + 1 == runs.count ? nil : runs[index + 1].range.first.rawValue
            if range.first > IOVA(0), before != range.first.rawValue {
                expectFault(probing, machine, IOVA(range.first.rawValue - 1), .read, &round)
            }
            if range.last < IOVA(.max), after != range.last.rawValue + 1 {
                expectFault(probing, machine, IOVA(range.last.rawValue + 1), .read, &round)
            }
        }
    }

    private func askBlocked(_ probing: Probing, _ machine: Machine, _ round: inout Round) {
        for run in probing.runs.lazy.map({ probing.device.runs[$0] }) {
            let access: Access = run.protection.contains(.read) ? .read : .write
            expectFault(probing, machine, run.range.first, access, &round)
            expectFault(probing, machine, run.range.last, access, &round)
        }
        if probing.device.runs.isEmpty { expectFault(probing, machine, IOVA(0x1000), .read, &round) }
    }

    private func expect(
        _ probing: Probing, _ machine: Machine, _ run: TranslatedRun, _ offset: UInt64, _ access: Access,
        _ round: inout Round
    ) {
        let iova = IOVA(run.range.first.rawValue &+ offset)
        let wanted = PhysicalAddress(run.pa.rawValue &+ offset)
        round.probes += 1
        let outcome = ask(probing, machine, iova, access)
        guard outcome != .address(wanted) else { return }
        round.wrong += 1
        round.first = round.first ?? "\(probing.device.key) \(access) at \(iova): \(outcome), expected \(wanted)"
    }

    private func expectFault(
        _ probing: Probing, _ machine: Machine, _ iova: IOVA, _ access: Access, _ round: inout Round
    ) {
        let device = probing.device
        if IOMMUHardware.interruptWindow.contains(iova),
            machine.device(device.requester).flatMap({ machine.unit($0.unit) })?.kind
                .usesInterruptWindow(isTagged: false) != false
        {
            return
        }
        round.probes += 1
        let outcome = ask(probing, machine, iova, access)
        switch outcome {
        case .fault, .notIssued, .aborted: return
        default:
            round.wrong += 1
            round.first = round.first ?? "\(device.key) \(access) at \(iova): \(outcome), expected a fault"
        }
    }

    private func ask(_ probing: Probing, _ machine: Machine, _ iova: IOVA, _ access: Access) -> DMAOutcome {
        let device = probing.device
        guard device.isGated else {
            return machine.dma(device.requester, pasid: device.key.pasid, iova: iova, access: access)
        }
        guard let (unit, context) = probing.listed else { return .notIssued }
        return DMAOutcome(unit.translate(context, iova: iova, access: access, memory: machine.memory.view))
    }

    /// Some pages at the ends of every RAM range: pass-through maps everything.
    private static func passThroughRuns(_ machine: Machine, _ rights: Protection) -> [TranslatedRun] {
        machine.ramRanges.flatMap { range in
            [range.first.pageBase, range.last.pageBase].compactMap { page in
                IOVARange(first: IOVA(page.rawValue), bytes: 4096).map {
                    TranslatedRun(range: $0, pa: page, protection: rights)
                }
            }
        }.sorted { $0.range < $1.range }
    }

    /// `run` without what lies in the interrupt window, where no request is translated.
    private static func outsideInterruptWindow(_ run: TranslatedRun) -> [TranslatedRun] {
        let window = IOMMUHardware.interruptWindow
        guard run.range.overlaps(window) else { return [run] }
        var parts: [TranslatedRun] = []
        if run.range.first < window.first,
            let range = IOVARange(first: run.range.first, last: IOVA(window.first.rawValue - 1))
        {
            parts.append(TranslatedRun(range: range, pa: run.pa, protection: run.protection))
        }
        if run.range.last > window.last,
            let range = IOVARange(first: IOVA(window.last.rawValue + 1), last: run.range.last)
        {
            let skipped = range.first.distance(from: run.range.first)
            parts.append(
                TranslatedRun(
                    range: range, pa: PhysicalAddress(run.pa.rawValue &+ skipped), protection: run.protection))
        }
        return parts
    }
}
