import FoundationEssentials
import IOMMUModel

/// The JSON form of a meta file, before its texts are read as numbers and addresses.
struct MetadataFile: Decodable {
    var name: String?
    var image: String?
    var iommu: String?
    var registers: [String: MetadataNumber]?
    var segment: MetadataNumber?
    var registerBase: MetadataNumber?
    var hostAddressWidth: MetadataNumber?
    var acpi: ACPI?
    var units: [Unit]?
    var pciFunctions: [Function]?
    var iommuGroups: [String]?
    var ram: [[MetadataNumber]]?
    var platform: [String: MetadataNumber]?
    var damaged: [Damage]?

    enum CodingKeys: String, CodingKey {
        case name, image, iommu, registers, segment
        case registerBase = "register_base"
        case hostAddressWidth = "host_address_width"
        case acpi, units
        case pciFunctions = "pci_functions"
        case iommuGroups = "iommu_groups"
        case ram, platform, damaged
    }

    /// ACPI tables as hexadecimal text.
    struct ACPI: Decodable {
        var dmar: String?
        var ivrs: String?
        enum CodingKeys: String, CodingKey {
            case dmar = "DMAR"
            case ivrs = "IVRS"
        }
    }

    struct Unit: Decodable {
        var iommu: String?
        var registers: [String: MetadataNumber]
        var segment: MetadataNumber?
        var registerBase: MetadataNumber?
        var hostAddressWidth: MetadataNumber?
        var acpi: ACPI?

        enum CodingKeys: String, CodingKey {
            case iommu, registers, segment
            case registerBase = "register_base"
            case hostAddressWidth = "host_address_width"
            case acpi
        }
    }

    struct Function: Decodable {
        var bdf: String
        var vendor: String?
        var device: String?
        var cls: String?
        var group: MetadataGroup?
        var driver: String?
        var ats: Bool?
        var pri: Bool?
    }

    struct Damage: Decodable {
        struct Patch: Decodable {
            var address: MetadataNumber
            var old: MetadataNumber
            var new: MetadataNumber
        }
        var name: String
        var patch: [Patch]
        var damage: String?
        var expected: String?
    }

    /// What a decoder's error means to the reader of the file, in one line.
    static func importError(_ error: any Error, path: String, bytes: [UInt8]) -> ImportError {
        guard let error = error as? DecodingError else {
            return .metadata(path: path, place: "the file", found: "unusable text", expected: "JSON")
        }
        let problem = JSONProblem(error, in: bytes)
        let place = problem.place.isEmpty ? "the file" : problem.place
        return problem.expected.isEmpty
            ? .metadata(path: path, place: place, found: "an unusable value", expected: problem.found)
            : .metadata(path: path, place: place, found: problem.found, expected: problem.expected)
    }
}

/// A number that a meta file writes as hexadecimal or decimal text, or as a JSON number.
struct MetadataNumber: Decodable, Hashable {
    var value: UInt64

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let number = try? container.decode(UInt64.self) {
            value = number
            return
        }
        guard let text = try? container.decode(String.self), let number = parseInteger(text) else {
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "a 64-bit number, as 0x… or decimal text")
        }
        value = number
    }
}

/// The number of a group, or the text `none`.
struct MetadataGroup: Decodable, Hashable {
    var number: MetadataNumber?

    init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self), text == "none" { return }
        number = try container.decode(MetadataNumber.self)
    }
}
