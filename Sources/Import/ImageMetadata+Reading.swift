import Hardware
import IOMMUModel
import Snapshot

extension ImageMetadata {
    /// Reads the texts of `file` as what they stand for; nothing is guessed, the first one that is wrong is named.
    init(_ file: MetadataFile, path: String) throws(ImportError) {
        self.path = path
        name = file.name ?? ""
        image = file.image
        hostAddressWidth = file.platform?["haw"].map { Int(clamping: $0.value) }
        encryptionBit = file.platform?["cbit"].map { Int(clamping: $0.value) }
        units = try Self.units(file, path: path)
        functions = []
        for (index, function) in (file.pciFunctions ?? []).enumerated() {
            functions.append(try Self.function(function, place: "pci_functions[\(index)]", path: path))
        }
        groups = []
        for (index, line) in (file.iommuGroups ?? []).enumerated() {
            groups.append(try Self.group(line, place: "iommu_groups[\(index)]", path: path))
        }
        ram = []
        for (index, pair) in (file.ram ?? []).enumerated() {
            guard pair.count == 2,
                let range = PhysicalRange(
                    first: PhysicalAddress(pair[0].value), last: PhysicalAddress(pair[1].value))
            else {
                throw .metadata(
                    path: path, place: "ram[\(index)]",
                    found: "[\(pair.map { hex($0.value, digits: 1) }.joined(separator: ", "))]",
                    expected: "first and last byte")
            }
            ram.append(range)
        }
        damages = []
        for (index, damage) in (file.damaged ?? []).enumerated() {
            var patches: [Patch] = []
            for (position, patch) in damage.patch.enumerated() {
                let address = PhysicalAddress(patch.address.value)
                guard address.isAligned(toLog2: 3) else {
                    throw .metadata(
                        path: path, place: "damaged[\(index)].patch[\(position)].address", found: "\(address)",
                        expected: "an 8-byte aligned address")
                }
                patches.append(Patch(address: address, old: patch.old.value, new: patch.new.value))
            }
            damages.append(
                Damage(
                    name: damage.name, patches: patches, damage: damage.damage ?? "", expected: damage.expected ?? ""))
        }
    }

    private static func units(_ file: MetadataFile, path: String) throws(ImportError) -> [Unit] {
        guard let listed = file.units else {
            guard let registers = file.registers else {
                throw .metadata(path: path, place: "the file", found: "no \"registers\"", expected: "one")
            }
            return [
                try unit(
                    kind: file.iommu, registers, segment: file.segment, base: file.registerBase,
                    width: file.hostAddressWidth, acpi: file.acpi, place: "", path: path)
            ]
        }
        guard !listed.isEmpty else {
            throw .metadata(path: path, place: "units", found: "none", expected: "at least one")
        }
        var units: [Unit] = []
        for (index, listed) in listed.enumerated() {
            units.append(
                try unit(
                    kind: listed.iommu ?? file.iommu, listed.registers, segment: listed.segment,
                    base: listed.registerBase, width: listed.hostAddressWidth, acpi: listed.acpi ?? file.acpi,
                    place: "units[\(index)].", path: path))
        }
        return units
    }

    private static func unit(
        kind: String?, _ registers: [String: MetadataNumber], segment: MetadataNumber?, base: MetadataNumber?,
        width: MetadataNumber?, acpi: MetadataFile.ACPI?, place: String, path: String
    ) throws(ImportError) -> Unit {
        // Meta files of images write Arm's with one dash more than the command line does.
        guard let name = kind, let kind = name == "arm-smmu-v3" ? .armSMMUv3 : IOMMUKind(rawValue: name) else {
            throw .metadata(
                path: path, place: place + "iommu", found: kind.map { "\"\($0)\"" } ?? "none",
                expected: IOMMUKind.allCases.map(\.rawValue).joined(separator: ", "))
        }
        var values: [String: UInt64] = [:]
        for (name, number) in registers {
            guard isRegisterName(name) else {
                throw .metadata(
                    path: path, place: place + "registers", found: "\"\(name)\"",
                    expected: "a name of letters, digits and _, at most 32")
            }
            guard values.updateValue(number.value, forKey: name.lowercased()) == nil else {
                throw .metadata(path: path, place: place + "registers", found: "\"\(name)\" twice", expected: "once")
            }
        }
        if let base, base.value & 0xfff != 0 {
            throw .metadata(
                path: path, place: place + "register_base", found: hex(base.value), expected: "a 4 KiB aligned address")
        }
        if let segment, segment.value > UInt64(UInt32.max) {
            throw .metadata(
                path: path, place: place + "segment", found: hex(segment.value), expected: "a number of 32 bits")
        }
        return Unit(
            kind: kind, registers: values.map { .init(name: $0.key, value: $0.value) },
            segment: segment.map { UInt32(truncatingIfNeeded: $0.value) },
            registerBase: base.map { PhysicalAddress($0.value) },
            hostAddressWidth: width.map { Int(clamping: $0.value) },
            dmar: try acpi?.dmar.map { text throws(ImportError) in
                try dmar(text, place: place + "acpi.DMAR", path: path)
            },
            ivrs: try acpi?.ivrs.map { text throws(ImportError) in
                try ivrs(text, place: place + "acpi.IVRS", path: path)
            })
    }

    private static func isRegisterName(_ name: String) -> Bool {
        (1...32).contains(name.utf8.count)
            && name.utf8.allSatisfy { byte in
                byte == UInt8(ascii: "_") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
                    || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
            }
    }

    private static func dmar(_ text: String, place: String, path: String) throws(ImportError) -> DMARTable {
        guard let bytes = hexBytes(text) else {
            throw .metadata(path: path, place: place, found: "other text", expected: "pairs of hexadecimal digits")
        }
        do throws(DMARError) {
            return try DMARTable(bytes)
        } catch {
            throw .metadata(path: path, place: place, found: error.description, expected: "an ACPI DMAR table")
        }
    }

    private static func ivrs(_ text: String, place: String, path: String) throws(ImportError) -> IVRSTable {
        guard let bytes = hexBytes(text) else {
            throw .metadata(path: path, place: place, found: "other text", expected: "pairs of hexadecimal digits")
        }
        do throws(IVRSError) {
            return try IVRSTable(bytes)
        } catch {
            throw .metadata(path: path, place: place, found: error.description, expected: "an ACPI IVRS table")
        }
    }

    /// Pairs of hexadecimal digits without separators; `nil` for anything else.
    static func hexBytes(_ text: String) -> [UInt8]? {
        var result: [UInt8] = []
        result.reserveCapacity(text.utf8.count / 2)
        var high: UInt8?
        for byte in text.utf8 {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: return nil
            }
            if let first = high {
                result.append(first << 4 | digit)
                high = nil
            } else {
                high = digit
            }
        }
        return high == nil ? result : nil
    }

    private static func function(
        _ given: MetadataFile.Function, place: String, path: String
    ) throws(ImportError) -> Function {
        guard let requester = RequesterID(given.bdf) else {
            throw .metadata(path: path, place: place + ".bdf", found: "\"\(given.bdf)\"", expected: "BB:DD.F")
        }
        func digits(_ text: String?, _ key: String, limit: UInt32) throws(ImportError) -> UInt32 {
            guard let text else { return 0 }
            let bare = text.hasPrefix("0x") ? text.dropFirst(2) : text[...]
            guard let value = UInt32(bare, radix: 16), value <= limit else {
                throw .metadata(
                    path: path, place: "\(place).\(key)", found: "\"\(text)\"",
                    expected: "a hexadecimal number up to \(hex(UInt64(limit), digits: 1))")
            }
            return value
        }
        return Function(
            requester: requester, hasSegment: given.bdf.utf8.count { $0 == UInt8(ascii: ":") } == 2,
            vendorID: UInt16(truncatingIfNeeded: try digits(given.vendor, "vendor", limit: 0xffff)),
            deviceID: UInt16(truncatingIfNeeded: try digits(given.device, "device", limit: 0xffff)),
            classCode: try digits(given.cls, "cls", limit: 0xff_ffff),
            group: try given.group?.number.map { number throws(ImportError) in
                try groupID(number.value, place: place + ".group", path: path)
            },
            driver: given.driver == "none" ? "" : given.driver ?? "", atsEnabled: given.ats, priEnabled: given.pri)
    }

    private static func groupID(_ number: UInt64, place: String, path: String) throws(ImportError) -> GroupID {
        // The highest numbers stay free for groups that the file does not name.
        guard number < 1 << 31 else {
            throw .metadata(path: path, place: place, found: "\(number)", expected: "a number below 2^31")
        }
        return GroupID(UInt32(number))
    }

    /// Reads `group 10 type=DMA-FQ resv=0x0,0xffffff,direct-relaxable;0xfee00000,0xfeefffff,msi;`.
    private static func group(_ line: String, place: String, path: String) throws(ImportError) -> Group {
        func bad(_ expected: String) -> ImportError {
            .metadata(path: path, place: place, found: "\"\(line)\"", expected: expected)
        }
        let words = line.split(separator: " ")
        guard words.count >= 2, words[0] == "group", let number = parseInteger(words[1]) else {
            throw bad("group N type=… resv=first,last,kind;…")
        }
        let id = try groupID(number, place: place, path: path)
        var regions: [ReservedRegionRecord] = []
        for word in words.dropFirst(2) where word.hasPrefix("resv=") {
            for part in word.dropFirst(5).split(separator: ";") {
                let fields = part.split(separator: ",")
                guard fields.count == 3, let first = parseInteger(fields[0]), let last = parseInteger(fields[1]),
                    let range = IOVARange(first: IOVA(first), last: IOVA(last))
                else { throw bad("first,last,kind in \"\(part)\"") }
                guard let kind = ReservedRegionKind(rawValue: String(fields[2])) else {
                    throw bad(ReservedRegionKind.allCases.map(\.rawValue).joined(separator: ", "))
                }
                let region = ReservedRegionRecord(group: id, kind: kind, range: range)
                if !regions.contains(region) { regions.append(region) }
            }
        }
        return Group(id: id, regions: regions)
    }
}
