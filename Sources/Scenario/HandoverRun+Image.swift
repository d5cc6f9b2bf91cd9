import Engine
import Handover
import IOMMUModel
import Import
import PageTables
import Snapshot
import Store

extension HandoverRun {
    /// Hands over what a memory image holds: the image's state is the live state (lifecycle.md, "Imported machines").
    ///
    /// - Parameters:
    ///   - image: opened first of all, and let go as soon as the machine holds its pages.
    ///   - areas: what userspace declares to have mapped, or `nil`: areas are read off the tables.
    public static func run(
        _ image: @autoclosure () throws -> MachineImage, areas: [AreaCSV.Row]? = nil, options: Options
    ) throws -> HandoverReport {
        var opened = Optional(try image())
        var run = HandoverRun(options)
        var clock = Clock()
        let outputs = try RunOutputs(options)
        let declared = areas.map { DeclaredAreas($0) }
        let (snapshot, machine) = try outputs.guarding {
            guard let image = opened.take() else { preconditionFailure("it was opened") }
            var snapshot = try Importer.importMachine(image, options: ImportOptions())
            try declared?.apply(to: &snapshot)
            return (snapshot, try run.machine(of: image, snapshot))
        }
        let buffer = EventBuffer()
        let taken = try outputs.guarding {
            do {
                var system = SystemRandomNumberGenerator()
                return try RunningState.takeOver(
                    snapshot, machine: machine, configuration: Self.configuration(seed: system.next(), outputs.number)
                ) { buffer.append($0) }
            } catch {
                throw ScenarioError.machine(what: "the image's state cannot be taken over: \(error)")
            }
        }
        let writer = try outputs.guarding { try outputs.firstGeneration() }
        let session = taken.session
        let left = taken.left.map { "\(AttachmentKey($0.requester, $0.pasid)): \($0.refusal)" }
        try writer.append(buffer.take())
        let pages = snapshot.tablePages.reduce(0) { $0 + $1.pages.count }
        try run.tell(
            .start, &clock,
            [
                .init("requester ids", snapshot.devices.count), .init("domains", snapshot.domains.count),
                .init("table pages", pages), .init("areas", snapshot.areas.count),
            ], notes: left)
        return try run.handOver(
            Ready(
                engine: taken.engine, session: session, buffer: buffer, writer: RecordingWriter(writer),
                declared: declared))
    }

    /// The machine of an image: its pages, frames for new tables that nothing reaches, and the handover page.
    func machine(of image: MachineImage, _ snapshot: Snapshot) throws -> Machine {
        let held = image.memory.segments.map(\.range)
        let reached = snapshot.areas.compactMap { area in
            PhysicalRange(first: PhysicalAddress(area.offset), bytes: area.range.lastOffset &+ 1)
        }
        let ram = snapshot.memoryRanges.filter { $0.kind == .ram }.map(\.range)
        var finder = FrameFinder(ram: ram, used: held + reached)
        let pages = UInt64(snapshot.tablePages.reduce(0) { $0 + $1.pages.count })
        let needed = pages + pages / 4 + 64
        guard let arena = finder.take(needed), let page = finder.take(1)?.first?.first else {
            throw ScenarioError.noFrames(needed: needed + 1, found: finder.count)
        }
        let pageRange = PhysicalRange(first: page, bytes: 4096).map { [$0] } ?? []
        // Whole pages only: a page that the image holds in part stays unknown.
        let whole = held.compactMap { range -> PhysicalRange? in
            let first = (range.first.rawValue + 4095) & ~4095
            let end = (range.last.rawValue &+ 1) & ~4095
            return end > first ? PhysicalRange(first: PhysicalAddress(first), bytes: end - first) : nil
        }
        let memory = try self.memory(whole + arena + pageRange)
        for segment in whole {
            var address = segment.first
            while address <= segment.last {
                if let from = image.memory.page(at: address), let to = memory.page(at: address) {
                    to.update(from: from, count: 512)
                }
                guard let next = address.offset(by: 4096) else { break }
                address = next
            }
        }
        let machine = try Machine.described(
            memory: memory, ramRanges: ram, arenaRanges: arena, handoverPage: page,
            units: snapshot.units.map { UnitDescription($0) }, devices: snapshot.devices.map { MachineDevice($0) },
            reservedRegions: snapshot.reservedRegions.map { ReservedRegion($0) })
        try describe(machine, name: image.metadata.name)
        return machine
    }

    /// Memory for `ranges`: the shared file that was asked for, or anonymous.
    func memory(_ ranges: [PhysicalRange]) throws -> PhysicalMemory {
        guard let path = options.memory else { return try MachineMemory.anonymous(ranges) }
        return try MachineMemory.file(ranges, at: path)
    }

    /// Writes what is beside a memory file: registers, topology, place of the nonce.
    func describe(_ machine: Machine, name: String) throws {
        guard let path = options.memory else { return }
        let image = String(path.split(separator: "/").last ?? "")
        let text = try MachineDescription(of: machine, name: name, image: image).json()
        try WholeFile.write(text, to: Self.descriptionPath(of: path))
    }

    /// `OUT.json` beside `OUT.elf`.
    public static func descriptionPath(of memory: String) -> String {
        (memory.hasSuffix(".elf") ? String(memory.dropLast(4)) : memory) + ".json"
    }

    /// How the engine that writes generation `number` is started: the number is part of its seed, so that two handovers
    /// into one directory never draw the same nonce.
    static func configuration(seed: UInt64, _ number: UInt64, defect: EngineDefect? = nil) -> EngineConfiguration {
        var mixed = SplitMix64(seed: seed &+ number &* 0xd134_2543_de82_ef95)
        var configuration = EngineConfiguration(seed: mixed.next())
        configuration.defect = defect
        return configuration
    }
}
