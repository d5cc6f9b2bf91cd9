import ArgumentParser
import Evidence
import IOMMUModel
import Import
import Snapshot
import Store

/// `domstore import`: a memory image becomes a generation.
struct ImportVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "import", abstract: "Read the IOMMU structures of a memory image into a generation file.",
        usage: """
            domstore import IMAGE --iommu KIND --register NAME=VALUE ... --store OUT
            domstore import [IMAGE] --meta FILE.json ... --store OUT
            """,
        discussion: """
            IMAGE is an ELF core, or with --base a raw file. With --meta, kind, registers, PCI functions, groups and \
            RAM come from a file like Tests/Fixtures/images/vtd48.json, and so does the image, relative to that file, \
            unless IMAGE is given. A unit per --meta file, or several in its 'units'. Damage in the tables never ends \
            an import: 'check' names it. If OUT is a directory, the next generation is added to it.
            """)

    @Argument(help: ArgumentHelp("The memory image.", valueName: "image"), completion: .file())
    var image: String?

    @Option(help: ArgumentHelp("The kind of the IOMMU.", valueName: "kind"))
    var iommu: IOMMUKind?

    @Option(
        name: .customLong("register"), parsing: .upToNextOption,
        help: ArgumentHelp(
            "Registers of the unit, for example rtaddr=0x143ff5000 cap=… ecap=….", valueName: "name=value"))
    var registers: [NamedNumber] = []

    @Option(help: ArgumentHelp("IMAGE is raw and begins at this physical address.", valueName: "address"))
    var base: NumberArgument?

    @Option(
        help: ArgumentHelp(
            "What no register says: haw (host address width in bits), cbit (AMD's memory encryption bit).",
            valueName: "name=value,…"))
    var platform: NamedNumbers?

    @Option(
        help: ArgumentHelp("Read it all from this file; may be repeated.", valueName: "file"),
        completion: .file(extensions: ["json"]))
    var meta: [String] = []

    @Option(
        name: .customLong("patch"),
        help: ArgumentHelp(
            "Apply this entry of the meta file's 'damaged' list, in memory only: to study how damage shows.",
            valueName: "name"))
    var patches: [String] = []

    @Option(
        help: ArgumentHelp("The generation file to write, or a directory of them.", valueName: "out"),
        completion: .file(extensions: ["domstore"]))
    var store: String

    @Flag(help: "Replace an existing file.")
    var force = false

    @OptionGroup var keys: KeyOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        if meta.isEmpty {
            guard image != nil, iommu != nil, !registers.isEmpty else {
                throw ValidationError("Give IMAGE with --iommu and --register, or a file with --meta.")
            }
            guard patches.isEmpty else { throw ValidationError("--patch needs --meta: the patches stand there.") }
        } else if iommu != nil || !registers.isEmpty {
            throw ValidationError("--meta says it all: --iommu and --register have no place beside it.")
        }
        guard Set(registers.map(\.name)).count == registers.count else {
            throw ValidationError("--register names one register twice.")
        }
        for value in platform?.values ?? [] {
            let known: [String: ClosedRange<UInt64>] = ["haw": 32...52, "cbit": 32...51]
            guard let range = known[value.name] else {
                throw ValidationError("--platform: '\(value.name)' is not known here; expected haw=BITS or cbit=BIT.")
            }
            guard range.contains(value.value) else {
                throw ValidationError(
                    "--platform: \(value.name) is \(value.value); expected \(range.lowerBound) to \(range.upperBound).")
            }
        }
    }

    func run() throws {
        let key = try keys.read()
        let target = try OutputStore(path: store, force: force)
        let snapshot = try Progress.during("importing \(image ?? meta[0])") { try readMachine() }
        let receipt = try target.write(snapshot, key: key)
        try output.record([
            ("file", .text(target.path)), ("generation", Cell(receipt.generation)),
            ("root", .text(receipt.root.description)), ("units", Cell(snapshot.units.count)),
            ("devices", Cell(snapshot.devices.count)), ("groups", Cell(snapshot.groups.count)),
            ("domains", Cell(snapshot.domains.count)), ("attachments", Cell(snapshot.attachments.count)),
            ("ioases", Cell(snapshot.ioases.count)), ("areas", Cell(snapshot.areas.count)),
            ("table_pages", Cell(snapshot.tablePages.reduce(0) { $0 + $1.pages.count })),
        ])
    }

    private func readMachine() throws -> Snapshot {
        let metadata = try readMetadata()
        guard let path = image ?? metadata.imagePath else {
            throw Failure(.badInput, "\(meta[0]): found no \"image\"; expected one, or IMAGE on the command line")
        }
        let machine = try MachineImage(
            file: path, base: base.map { PhysicalAddress($0.value) }, metadata: metadata)
        for name in patches { try machine.apply(damage: name) }
        func said(_ name: String) -> Int? { platform?.values.first { $0.name == name }.map { Int($0.value) } }
        return try Importer.importMachine(
            machine, options: ImportOptions(hostAddressWidth: said("haw"), encryptionBit: said("cbit")))
    }

    private func readMetadata() throws -> ImageMetadata {
        if let iommu {
            return ImageMetadata(
                kind: iommu, registers: registers.map { UnitRecord.Register(name: $0.name, value: $0.value) })
        }
        let parts = try meta.map { try ImageMetadata(file: $0) }
        if image == nil, let first = parts.first?.imagePath {
            for part in parts {
                if let other = part.imagePath, other != first {
                    throw Failure(.badInput, "\(part.path): found image \(other); expected \(first), one image for all")
                }
            }
        }
        return ImageMetadata.merged(parts) ?? parts[0]
    }
}
