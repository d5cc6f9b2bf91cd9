import IOMMUModel
import Import
import PageTables
import Snapshot

@testable import Validate

/// A memory image of a machine whose tables a real kernel built, whole or with one of its named damages.
enum RealImage: String, Sendable, CaseIterable, CustomStringConvertible {
    case vtd48
    case vtdpasid
    case amdv1
    case smmuv3s2

    var description: String { rawValue }

    private static let folder: String = {
        let parts = #filePath.split(separator: "/")
        return "/" + parts.dropLast(2).joined(separator: "/") + "/Fixtures/images/"
    }()

    func metadata() throws -> ImageMetadata { try ImageMetadata(file: Self.folder + rawValue + ".json") }

    func image(damage name: String? = nil) throws -> MachineImage {
        let image = try MachineImage(file: Self.folder + rawValue + ".elf", metadata: metadata())
        if let name { try image.apply(damage: name) }
        return image
    }

    func snapshot(damage name: String? = nil) throws -> Snapshot {
        try Importer.importMachine(image(damage: name))
    }

    /// What the driver mapped, one maximal run a row; PASID 0 stands for untagged requests.
    func truth() throws -> [RecordedMapping] {
        let rows = try AreaCSV.read(file: Self.folder + rawValue + ".truth.csv")
        let runs = rows.map {
            RecordedMapping(
                device: $0.requester, pasid: $0.pasid, range: $0.range, pa: PhysicalAddress($0.offset),
                protection: $0.protection)
        }.sorted { a, b in
            if a.device != b.device { return a.device < b.device }
            return a.pasid != b.pasid ? PASID?.precedes(a.pasid, b.pasid) : a.range < b.range
        }
        // The rows are maximal already, but for the sources that they name: merge over those.
        var merged: [RecordedMapping] = []
        for run in runs {
            if let last = merged.last, last.device == run.device, last.pasid == run.pasid,
                last.protection == run.protection, last.range.last.rawValue + 1 == run.range.first.rawValue,
                last.pa.rawValue + last.range.lastOffset + 1 == run.pa.rawValue
            {
                merged[merged.count - 1].range = IOVARange(first: last.range.first, last: run.range.last)!
            } else {
                merged.append(run)
            }
        }
        return merged
    }
}
