/// The layout of one hardware structure as a table: the form in which vectors are checked and entries explained.
///
/// The typed structures read their bits through the same ``BitField`` values, so the table cannot disagree with them.
public struct StructureLayout: Sendable, Hashable {
    /// Vendor and structure, for example `vtd.context`.
    public let name: String
    /// Size in 64-bit words.
    public let wordCount: Int
    /// Ascending by word and bit; a bit is in one field or reserved range at most.
    public let fields: [BitField]
    /// Bits that must be zero whatever the hardware's capabilities are.
    public let reserved: [BitRange]
    /// Where the layout is specified, for example `VT-d 9.3`.
    public let source: String

    /// All as given; that fields and reserved ranges do not overlap is not checked.
    public init(name: String, wordCount: Int, fields: [BitField], reserved: [BitRange], source: String) {
        self.name = name
        self.wordCount = wordCount
        self.fields = fields
        self.reserved = reserved
        self.source = source
    }

    /// The field called `name`, or `nil`.
    public func field(_ name: String) -> BitField? { fields.first { $0.name == name } }

    /// Every field with its value, in the order of the layout; `nil` when `words` is not of the structure's size.
    public func decode(_ words: [UInt64]) -> [(field: BitField, value: UInt64)]? {
        guard words.count == wordCount else { return nil }
        return fields.map { ($0, $0.value(in: words[$0.word])) }
    }

    /// The words with `values` in their fields and zero elsewhere; `nil` for an unknown field or a value that does not
    /// fit.
    public func encode(_ values: [String: UInt64]) -> [UInt64]? {
        var words = [UInt64](repeating: 0, count: wordCount)
        for (name, value) in values {
            guard let field = field(name), let bits = field.placed(value) else { return nil }
            words[field.word] |= bits
        }
        return words
    }

    /// The reserved ranges that are not zero, in the order of the layout.
    public func violations(_ words: [UInt64]) -> [BitRange] {
        reserved.filter { $0.word < words.count && words[$0.word] & $0.mask != 0 }
    }

    /// As ``violations(_:)``, and also the address bits at and above `hostAddressWidth` (12 to 64).
    public func violations(_ words: [UInt64], hostAddressWidth: Int) -> [BitRange] {
        var result = violations(words)
        for field in fields where field.isAddress && hostAddressWidth <= field.high {
            let range = BitRange(word: field.word, field.high, max(hostAddressWidth, field.low))
            if field.word < words.count, words[field.word] & range.mask != 0 { result.append(range) }
        }
        return result
    }
}

extension StructureLayout {
    /// Every structure that this version decodes.
    public static let all: [StructureLayout] = [
        VTDScalableRootEntry.layout, VTDScalableContextEntry.layout, VTDPASIDDirectoryEntry.layout,
        VTDPASIDEntry.layout,
        VTDRootTableAddress.layout, VTDRootEntry.layout, VTDContextEntry.layout,
        AMDDeviceTableBase.layout, AMDDeviceTableEntry.layout, AMDGCR3Entry.layout,
        SMMUStreamTableDescriptor.layout, SMMUStreamTableEntry.layout,
    ]

    /// The layout called `name`, or `nil` when this version does not decode that structure.
    public static func named(_ name: String) -> StructureLayout? { all.first { $0.name == name } }
}
