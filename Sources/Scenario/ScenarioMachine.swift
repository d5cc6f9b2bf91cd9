import Engine
import IOMMUModel

/// The machine of a scenario.
struct ScenarioMachine: Sendable, Decodable {
    /// RAM in whole pages, both ends included.
    var ram: [PhysicalRange]
    /// How many frames new table pages may be taken from; at the end of the last RAM range.
    var tablePages: UInt64
    var units: [Unit]
    var devices: [Device]
    var memoryFiles: [MemoryFile]

    /// An IOMMU unit.
    struct Unit: Sendable, Decodable {
        var id: UnitID
        var kind: IOMMUKind
        var segment: UInt32
        var registerBase: PhysicalAddress
        var hostAddressWidth: UInt8
        /// What the unit can do, by register name: VT-d `cap` and `ecap`, AMD `efr`, SMMUv3 `idr0` and `idr5`.
        var capabilities: [String: UInt64]
        /// AMD: position of the memory encryption bit.
        var encryptionBit: UInt8?
        /// The hardware sets accessed and dirty bits.
        var accessedDirty: Bool

        enum CodingKeys: String, CodingKey, CaseIterable {
            case id, iommu, segment
            case registerBase = "register_base"
            case hostAddressWidth = "host_address_width"
            case cap, ecap, efr, cbit, idr0, idr5
            case accessedDirty = "accessed_dirty"
        }

        init(from decoder: any Decoder) throws {
            let box = try decoder.strictContainer(CodingKeys.self)
            id = UnitID(try box.decode(UInt32.self, forKey: .id))
            segment = try box.decodeIfPresent(UInt32.self, forKey: .segment) ?? 0
            registerBase = PhysicalAddress(
                try box.decodeIfPresent(NumberText.self, forKey: .registerBase)?.value ?? 0xfed9_0000)
            hostAddressWidth = try box.decodeIfPresent(UInt8.self, forKey: .hostAddressWidth) ?? 46
            kind = try box.decodeIfPresent(IOMMUKindText.self, forKey: .iommu)?.value ?? .intelVTd
            let (own, allowed): ([CodingKeys], [CodingKeys]) =
                switch kind {
                case .amdVi: ([.efr], [.cbit])
                case .armSMMUv3: ([.idr0, .idr5], [])
                case .intelVTd, .riscv: ([.cap, .ecap], [])
                }
            let registers: [CodingKeys] = [.cap, .ecap, .efr, .cbit, .idr0, .idr5]
            if let other = registers.first(where: { box.contains($0) && !own.contains($0) && !allowed.contains($0) }) {
                throw DecodingError.dataCorruptedError(
                    forKey: other, in: box, debugDescription: "a unit of kind \(kind.rawValue) has no such register")
            }
            capabilities = [:]
            for key in own { capabilities[key.stringValue] = try box.decode(NumberText.self, forKey: key).value }
            encryptionBit = try box.decodeIfPresent(UInt8.self, forKey: .cbit)
            if let bit = encryptionBit, !(32...51).contains(bit) {
                throw DecodingError.dataCorruptedError(
                    forKey: .cbit, in: box, debugDescription: "found \(bit); expected a bit from 32 to 51")
            }
            accessedDirty = try box.decodeIfPresent(Bool.self, forKey: .accessedDirty) ?? false
        }
    }

    /// A device behind a unit.
    struct Device: Sendable, Decodable {
        var requester: RequesterID
        var unit: UnitID
        var group: GroupID
        var hasFunction: Bool
        var driver: String
        var ats: Bool
        var pri: Bool
        /// Width of its PASIDs; 0: none.
        var pasidBits: UInt8
        var reserved: [Reserved]

        /// A reserved region of the device's group.
        struct Reserved: Sendable, Decodable {
            var kind: ReservedRegionKind
            var range: IOVARange
            enum CodingKeys: String, CodingKey, CaseIterable { case kind, iova, last }
            init(from decoder: any Decoder) throws {
                let box = try decoder.strictContainer(CodingKeys.self)
                kind = try box.decode(ReservedKindText.self, forKey: .kind).value
                let first = IOVA(try box.decode(NumberText.self, forKey: .iova).value)
                let last = IOVA(try box.decode(NumberText.self, forKey: .last).value)
                guard let range = IOVARange(first: first, last: last) else {
                    throw DecodingError.dataCorruptedError(
                        forKey: .last, in: box, debugDescription: "last \(last) lies below iova \(first)")
                }
                self.range = range
            }
        }

        enum CodingKeys: String, CodingKey, CaseIterable {
            case device, unit, group, function, driver, ats, pri
            case pasidBits = "pasid_bits"
            case reserved
        }

        init(from decoder: any Decoder) throws {
            let box = try decoder.strictContainer(CodingKeys.self)
            requester = try box.decode(RequesterText.self, forKey: .device).value
            unit = UnitID(try box.decodeIfPresent(UInt32.self, forKey: .unit) ?? 1)
            group = GroupID(try box.decode(UInt32.self, forKey: .group))
            hasFunction = try box.decodeIfPresent(Bool.self, forKey: .function) ?? true
            driver = try box.decodeIfPresent(String.self, forKey: .driver) ?? ""
            ats = try box.decodeIfPresent(Bool.self, forKey: .ats) ?? false
            pri = try box.decodeIfPresent(Bool.self, forKey: .pri) ?? false
            pasidBits = try box.decodeIfPresent(UInt8.self, forKey: .pasidBits) ?? 0
            guard pasidBits <= 20 else {
                throw DecodingError.dataCorruptedError(
                    forKey: .pasidBits, in: box, debugDescription: "found \(pasidBits); expected 0 to 20 bits")
            }
            reserved = try box.decodeIfPresent([Reserved].self, forKey: .reserved) ?? []
        }
    }

    /// A memory file: contiguous in the simulated machine.
    struct MemoryFile: Sendable, Decodable {
        var id: BackingID
        var base: PhysicalAddress
        var byteCount: UInt64
        var sealed: Bool
        /// Physical memory: in no file at all, as anonymous pages, a dmabuf or a device's registers; offsets are physical
        /// addresses.
        var kind: Backing.Kind

        enum CodingKeys: String, CodingKey, CaseIterable { case id, base, bytes, sealed, kind }

        init(from decoder: any Decoder) throws {
            let box = try decoder.strictContainer(CodingKeys.self)
            id = BackingID(try box.decode(UInt32.self, forKey: .id))
            base = PhysicalAddress(try box.decode(NumberText.self, forKey: .base).value)
            byteCount = try box.decode(NumberText.self, forKey: .bytes).value
            kind = try box.decodeIfPresent(BackingKindText.self, forKey: .kind)?.value ?? .memfd
            sealed = try box.decodeIfPresent(Bool.self, forKey: .sealed) ?? (kind == .memfd)
        }
    }

    enum CodingKeys: String, CodingKey, CaseIterable {
        case ram
        case tablePages = "table_pages"
        case units, devices
        case memoryFiles = "memory_files"
    }

    init(from decoder: any Decoder) throws {
        let box = try decoder.strictContainer(CodingKeys.self)
        ram = try box.decode([[NumberText]].self, forKey: .ram).map { pair in
            guard pair.count == 2,
                let range = PhysicalRange(first: .init(pair[0].value), last: .init(pair[1].value)),
                range.isAligned(toLog2: 12)
            else {
                throw DecodingError.dataCorruptedError(
                    forKey: .ram, in: box, debugDescription: "each range is [first, last] in whole 4 KiB pages")
            }
            return range
        }
        tablePages = try box.decodeIfPresent(UInt64.self, forKey: .tablePages) ?? 4096
        guard (1...1 << 40).contains(tablePages) else {
            throw DecodingError.dataCorruptedError(
                forKey: .tablePages, in: box, debugDescription: "found \(tablePages); expected 1 to \(1 << 40) pages")
        }
        units = try box.decode([Unit].self, forKey: .units)
        devices = try box.decode([Device].self, forKey: .devices)
        memoryFiles = try box.decodeIfPresent([MemoryFile].self, forKey: .memoryFiles) ?? []
    }
}
