import ArgumentParser
import IOMMUModel
import Validate

/// `domstore mappings STORE`: what the hardware would translate.
struct MappingsVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mappings", abstract: "List what the hardware would translate, as maximal runs.",
        discussion: """
            One line for each run in which IOVA and physical address both continue under the same protection, sorted \
            by device, PASID and IOVA. Read from the recorded root registers and tables, as the hardware would. \
            Findings never suppress a run; 'check' lists them. Exit code 1 when records of the file are damaged, or its \
            tables together are too large to be listed.
            """)

    @OptionGroup var input: StoreArguments

    @Option(help: ArgumentHelp("Only this device: SSSS:BB:DD.F or BB:DD.F.", valueName: "device"))
    var device: RequesterID?

    @Option(help: ArgumentHelp("Only this PASID; '-' for requests without one.", valueName: "pasid"))
    var pasid: PASIDArgument?

    @OptionGroup var output: OutputOptions

    static let columns = ["device", "pasid", "iova", "last", "pa", "protection"]

    func run() throws {
        let (snapshot, damage) = try input.readable()
        let machine = try RecordedMachine(snapshot)
        var stream = output.stream(Self.columns)
        var problem: OutputError?
        let end = machine.forEachMapping(device: device, pasid: pasid.map { $0.pasid }) { mapping in
            do throws(OutputError) {
                try stream.row(Self.row(mapping))
            } catch {
                problem = error
            }
            return problem == nil && !stream.isClosed
        }
        if let problem { throw problem }
        try stream.finish()
        if let what = Self.missing(end) { Talk.complain("\(input.store): \(what)") }
        try damage.report("what it held is not mapped here")
        if case .budgetExceeded = end { throw Failure.findings }
    }

    /// What a listing that ended so lacks, in words.
    static func missing(_ end: MappingsEnd) -> String? {
        guard case .budgetExceeded(let device, let pasid, let requests) = end else { return nil }
        let first = "\(device)\(pasid.map { "#\($0)" } ?? "")"
        let whose = requests == 1 ? first : "\(requests) devices and PASIDs, \(first) first,"
        return "the tables together are too large to be read: the mappings of \(whose) are not all listed"
    }

    static func row(_ mapping: RecordedMapping) -> [Cell] {
        [
            .text(mapping.device.description), Cell(pasid: mapping.pasid), Cell(mapping.range.first),
            Cell(mapping.range.last), Cell(mapping.pa), .text(mapping.protection.description),
        ]
    }
}
