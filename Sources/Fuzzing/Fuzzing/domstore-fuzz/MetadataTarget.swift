import Hardware
import IOMMUModel
import Import

/// Input: a byte for what follows: the text of a meta file, or an ACPI table with its checksum to be set right.
enum MetadataTarget {
    static func run(_ input: UnsafeRawBufferPointer) {
        var reader = InputReader(input)
        let kind = reader.byte()
        var bytes = reader.remaining()
        switch kind % 3 {
        case 0: readText(bytes)
        case 1:
            seal(&bytes, "DMAR")
            if let table = try? DMARTable(bytes) { use(table) }
        default:
            seal(&bytes, "IVRS")
            if let table = try? IVRSTable(bytes) { use(table) }
        }
    }

    /// Without a right name, length and sum nothing of a table is read.
    private static func seal(_ bytes: inout [UInt8], _ name: String) {
        guard bytes.count >= 48, bytes[9] & 1 == 0 else { return }
        bytes.replaceSubrange(0..<4, with: Array(name.utf8))
        for index in 0..<4 { bytes[4 + index] = UInt8(truncatingIfNeeded: bytes.count >> (8 * index)) }
        bytes[9] &-= bytes.reduce(0, &+)
    }

    private static func readText(_ bytes: [UInt8]) {
        guard let metadata = try? ImageMetadata(bytes: bytes, path: "dir/meta.json") else { return }
        _ = metadata.imagePath
        for damage in metadata.damages { _ = try? metadata.damage(damage.name) }
        guard let united = ImageMetadata.merged([metadata, metadata]), united.damages.count <= metadata.damages.count
        else { preconditionFailure("merged with itself, a meta file has other damages") }
        for kind in SmallMachine.Kind.allCases {
            guard let machine = try? SmallMachine(kind), var image = try? machine.image() else { continue }
            image.metadata = metadata
            for damage in metadata.damages { try? image.apply(damage) }
            Aftermath.run(image)
            // The text's functions and tables with registers that lead somewhere.
            for index in image.metadata.units.indices {
                image.metadata.units[index].kind = machine.metadata.units[0].kind
                image.metadata.units[index].registers = machine.metadata.units[0].registers
            }
            Aftermath.run(image)
        }
    }

    private static func use(_ table: DMARTable) {
        for rid in stride(from: UInt16(0), to: 0xff00, by: 0x107) {
            _ = table.unitIndex(serving: RequesterID(segment: 0, rid: rid)) { _ in 0...UInt8(rid >> 8) }
        }
        run(.intelVTd, .legacy) { $0.dmar = table }
    }

    private static func use(_ table: IVRSTable) {
        for rid in stride(from: UInt16(0), to: 0xff00, by: 0x107) {
            _ = table.unitIndex(serving: RequesterID(segment: 0, rid: rid))
            _ = table.alias(of: RequesterID(segment: 0, rid: rid))
        }
        run(.amdVi, .amd) { $0.ivrs = table }
    }

    private static func run(
        _ kind: IOMMUKind, _ machine: SmallMachine.Kind, _ change: (inout ImageMetadata.Unit) -> Void
    ) {
        guard let machine = try? SmallMachine(machine), var image = try? machine.image() else { return }
        change(&image.metadata.units[0])
        Aftermath.run(image)
    }
}
