import FoundationEssentials
import Hardware
import IOMMUModel
import Snapshot

/// What a meta file says about an image: the units with their registers, PCI functions, groups, RAM.
///
/// The form of the images' meta files (`Tests/Fixtures/images/*.json`). Keys that are not known are passed over;
/// registers that are not needed are kept.
public struct ImageMetadata: Sendable, Hashable {
    /// For messages: the file that this was read from, or `-`.
    public var path: String
    /// The machine's name, in the files' own words; empty when there is none.
    public var name: String
    /// The image that this describes, as the file writes it: relative to the folder of the file itself.
    public var image: String?
    /// In the order of the file: a unit's index here is the one in messages.
    public var units: [Unit]
    /// In the order of the file; empty: nothing is known of the functions.
    public var functions: [Function]
    /// Those that the file tells of; functions may name others.
    public var groups: [Group]
    /// As given: inclusive bytes, not necessarily whole pages.
    public var ram: [PhysicalRange]
    /// Host address width in bits when neither a unit nor ACPI says it.
    public var hostAddressWidth: Int?
    /// Position of SME's C-bit in physical addresses (AMD); `nil`: memory is not encrypted, or the file does not say.
    public var encryptionBit: Int?
    /// Changes that the file offers to make to the image, for tests; none is made by reading.
    public var damages: [Damage]

    /// One IOMMU unit.
    public struct Unit: Sendable, Hashable {
        /// The importer reads all kinds but ``IOMMUKind/riscv``.
        public var kind: IOMMUKind
        /// Sorted by name; names lower-case.
        public var registers: [UnitRecord.Register]
        /// `nil`: what ACPI says for this unit, else 0.
        public var segment: UInt32?
        /// 4 KiB aligned. `nil`: that of the unit at the same place of the ACPI table, else 0.
        public var registerBase: PhysicalAddress?
        /// In bits. `nil`: the ACPI table's, else that of the whole file.
        public var hostAddressWidth: Int?
        /// The ACPI table DMAR (Intel).
        public var dmar: DMARTable?
        /// The ACPI table IVRS (AMD).
        public var ivrs: IVRSTable?

        /// Sorts `registers`; all else as given, nothing is checked.
        public init(
            kind: IOMMUKind, registers: [UnitRecord.Register], segment: UInt32? = nil,
            registerBase: PhysicalAddress? = nil, hostAddressWidth: Int? = nil, dmar: DMARTable? = nil,
            ivrs: IVRSTable? = nil
        ) {
            self.kind = kind
            self.registers = registers.sorted { $0.name < $1.name }
            self.segment = segment
            self.registerBase = registerBase
            self.hostAddressWidth = hostAddressWidth
            self.dmar = dmar
            self.ivrs = ivrs
        }

        /// The value of register `name`, or `nil`.
        public subscript(register name: String) -> UInt64? { registers.first { $0.name == name }?.value }
    }

    /// One PCI function.
    public struct Function: Sendable, Hashable {
        /// On segment 0 when ``hasSegment`` is false.
        public var requester: RequesterID
        /// The meta file names the segment.
        public var hasSegment: Bool
        /// PCI vendor id, 0 when the file does not say.
        public var vendorID: UInt16
        /// PCI device id, 0 when the file does not say.
        public var deviceID: UInt16
        /// PCI class code, 24 bits, 0 when the file does not say.
        public var classCode: UInt32
        /// `nil` when the file does not say: the importer makes a group for it.
        public var group: GroupID?
        /// Empty when none.
        public var driver: String
        /// `nil` when the file does not say.
        public var atsEnabled: Bool?
        /// `nil` when the file does not say.
        public var priEnabled: Bool?
    }

    /// One IOMMU group with its reserved regions.
    public struct Group: Sendable, Hashable {
        /// Below 2^31 when read from a file.
        public var id: GroupID
        /// In the order of the file, none twice.
        public var regions: [ReservedRegionRecord]
    }

    /// A named change of some words, with the finding it must produce.
    public struct Damage: Sendable, Hashable {
        /// What ``ImageMetadata/damage(_:)`` finds it by.
        public var name: String
        /// Applied all or none, in this order.
        public var patches: [Patch]
        /// What is damaged, in words.
        public var damage: String
        /// What must be reported, in words.
        public var expected: String
    }

    /// One changed word.
    public struct Patch: Sendable, Hashable {
        /// 8-byte aligned.
        public var address: PhysicalAddress
        /// The word that must be there before.
        public var old: UInt64
        /// The word that is there afterwards.
        public var new: UInt64
    }

    /// What the command line can say without a meta file.
    public init(kind: IOMMUKind, registers: [UnitRecord.Register], hostAddressWidth: Int? = nil) {
        path = "-"
        name = ""
        units = [Unit(kind: kind, registers: registers)]
        functions = []
        groups = []
        ram = []
        self.hostAddressWidth = hostAddressWidth
        damages = []
    }

    /// The path of ``image``, or `nil` when the file does not name one.
    public var imagePath: String? {
        guard let image, !image.isEmpty else { return nil }
        guard !image.hasPrefix("/"), let slash = path.lastIndex(of: "/") else { return image }
        return path[...slash] + image
    }

    /// A meta file is some kilobytes; more than this is refused.
    public static let byteLimit: UInt64 = 64 << 20

    /// Reads the meta file at `path`.
    public init(file path: String) throws(ImportError) {
        let file = try InputFile(path)
        try self.init(bytes: try file.bytes(limit: Self.byteLimit), path: path)
    }

    /// Reads the text of a meta file; `path` is for messages.
    public init(bytes: [UInt8], path: String) throws(ImportError) {
        let file: MetadataFile
        do {
            file = try JSONDecoder().decode(MetadataFile.self, from: Data(bytes))
        } catch {
            throw MetadataFile.importError(error, path: path, bytes: bytes)
        }
        try self.init(file, path: path)
    }

    /// One machine of several meta files (one per unit): the units one after the other, all else united. What two files
    /// say alike is taken once.
    public static func merged(_ parts: [ImageMetadata]) -> ImageMetadata? {
        guard var result = parts.first else { return nil }
        for part in parts.dropFirst() {
            result.units += part.units
            let known = Set(result.functions.map(\.requester))
            result.functions += part.functions.filter { !known.contains($0.requester) }
            let knownGroups = Set(result.groups.map(\.id))
            result.groups += part.groups.filter { !knownGroups.contains($0.id) }
            result.ram += part.ram.filter { !result.ram.contains($0) }
            result.hostAddressWidth = result.hostAddressWidth ?? part.hostAddressWidth
            result.encryptionBit = result.encryptionBit ?? part.encryptionBit
            if part.image != nil, result.image == nil { (result.path, result.image) = (part.path, part.image) }
            let knownDamages = Set(result.damages.map(\.name))
            result.damages += part.damages.filter { !knownDamages.contains($0.name) }
        }
        return result
    }

    /// The damage called `name`.
    public func damage(_ name: String) throws(ImportError) -> Damage {
        guard let found = damages.first(where: { $0.name == name }) else {
            throw .noSuchDamage(name: name, known: damages.map(\.name))
        }
        return found
    }
}
