import Hardware
import IOMMUModel
import PageTables

/// What the words of a lookup entry say: the fields of its layout, those that decide with what their values mean.
extension TranslationTrace.Step {
    init(_ step: LookupStep, device: RequesterID) {
        var teller = FieldTeller(step.layout)
        let upper = VTDLookupIndex.usesUpperScalableHalf(device.rid)
        for (field, value) in step.layout.decode(step.words) ?? [] {
            // Each half of a scalable-mode root entry serves its own devices.
            if step.layout == VTDScalableRootEntry.layout, (field.word == 1) != upper { continue }
            teller.tell(field, value, step.words)
        }
        self.init(
            kind: .lookup(step.layout.name), address: step.address, words: step.words,
            fields: teller.fields + step.violations.map { TranslationTrace.Field("reserved", $0) })
    }
}

/// Turns fields into statements. A field that decides is told whatever its value; any other only when it is not 0.
private struct FieldTeller {
    var fields: [TranslationTrace.Field] = []
    private let layout: StructureLayout

    init(_ layout: StructureLayout) { self.layout = layout }

    /// Fields that are told even when they are 0.
    private static let deciding: [String: Set<String>] = [
        VTDRootEntry.layout.name: ["P", "CTP"],
        VTDScalableRootEntry.layout.name: ["LP", "LCTP", "UP", "UCTP"],
        VTDContextEntry.layout.name: ["P", "TT", "SSPTPTR", "AW", "DID"],
        VTDScalableContextEntry.layout.name: ["P", "PASIDE", "PDTS", "PASIDDIRPTR", "RID_PASID"],
        VTDPASIDDirectoryEntry.layout.name: ["P", "SMPTBLPTR"],
        VTDPASIDEntry.layout.name: ["P", "PGTT", "DID"],
        AMDDeviceTableEntry.layout.name: ["V", "TV", "Mode", "IR", "IW", "DomainID"],
        AMDGCR3Entry.layout.name: ["V", "Ptr"],
    ]

    mutating func tell(_ field: BitField, _ value: UInt64, _ words: [UInt64]) {
        guard value != 0 || Self.deciding[layout.name]?.contains(field.name) == true else { return }
        if let text = meaning(field.name, value, words) {
            if !text.isEmpty { fields.append(.init(field.name, text)) }
        } else if field.isAddress {
            fields.append(.init(field.name, PhysicalAddress(value)))
        } else {
            fields.append(.init(field.name, value > 0xffff ? hex(value) : "\(value)"))
        }
        if layout == AMDDeviceTableEntry.layout, field == AMDDeviceTableEntry.gv {
            fields.append(.init("GCR3", Self.entry(words).gcr3Root))
        }
    }

    /// The value in words, `nil` where the number says it all, empty where it is told at another field.
    private func meaning(_ field: String, _ value: UInt64, _ words: [UInt64]) -> String? {
        switch layout.name {
        case VTDContextEntry.layout.name: context(field, value, words)
        case VTDScalableContextEntry.layout.name where field == "PDTS": "\(value) (\(128 << value) entries)"
        case VTDPASIDEntry.layout.name: pasid(field, value)
        case AMDDeviceTableEntry.layout.name: deviceTable(field, value, words)
        default: nil
        }
    }

    private func context(_ field: String, _ value: UInt64, _ words: [UInt64]) -> String? {
        switch field {
        case "TT": "\(VTDContextEntry(low: words[0], high: words[1]).translationType)"
        case "AW": width(value)
        default: nil
        }
    }

    private func width(_ code: UInt64) -> String? {
        VTDAddressWidth(rawValue: UInt8(truncatingIfNeeded: code)).map { "\(code) (\($0.bits) bits)" }
    }

    private func pasid(_ field: String, _ value: UInt64) -> String? {
        switch field {
        case "PGTT":
            switch VTDPASIDEntry.TranslationType(rawValue: value) {
            case .firstStage: "\(value) (first stage)"
            case .secondStage: "\(value) (second stage)"
            case .nested: "\(value) (nested)"
            case .passThrough: "\(value) (pass-through)"
            case nil: "\(value) (reserved)"
            }
        case "AW": width(value)
        case "FSPM": value == 1 ? "1 (5 levels)" : nil
        default: nil
        }
    }

    private static func entry(_ words: [UInt64]) -> AMDDeviceTableEntry {
        AMDDeviceTableEntry(word0: words[0], word1: words[1], word2: words[2], word3: words[3])
    }

    private func deviceTable(_ field: String, _ value: UInt64, _ words: [UInt64]) -> String? {
        let entry = Self.entry(words)
        switch field {
        case "Mode":
            return switch value {
            case 0: "0 (no host tables)"
            case 7: "7 (reserved)"
            default: "\(value) (\(value) levels)"
            }
        case "HostPTRoot": return entry.mode == 0 ? "" : nil
        case "GLX" where entry.guestTranslation: return "\(value) (\(value + 1) levels)"
        // One address in three places, told at GV.
        case let name where name.hasPrefix("GCR3"): return ""
        case "GuestPagingMode": return entry.guestTranslation ? (value == 1 ? "1 (5 levels)" : nil) : ""
        default: return nil
        }
    }
}
