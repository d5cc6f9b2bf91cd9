/// One column of a table while its width is being found.
struct TableColumn {
    /// A beginning that all cells share and that is not shown.
    enum Hidden: Hashable {
        case nothing
        /// So many zeros behind the `0x` of addresses.
        case zeros(Int)
        /// `0000:` of devices.
        case segment
    }

    /// Cells in the column's final width.
    private(set) var width: Int
    /// The widest cell, the header not counted.
    private(set) var contentWidth: Int
    let isNumeric: Bool
    /// True when a cell holds words rather than one value.
    let isProse: Bool
    private(set) var hidden = Hidden.nothing
    /// Its cells stand below their row.
    var isHung = false
    /// False for what tells rows apart.
    var canBeCut: Bool { !isHung && !isDevices }
    private let name: String
    /// Zeros that all addresses of the column begin with; 0 when it holds anything else.
    private let commonZeros: Int
    private let isDevices: Bool

    init(name: String, cells: some Sequence<Cell>) {
        self.name = name
        var numbers = 0
        var texts = 0
        var prose = false
        var zeros = Int.max
        var devices = true
        var widest = 0
        for cell in cells {
            widest = max(widest, DisplayWidth.of(Self.text(cell, hiding: .nothing)))
            switch cell {
            case .null: continue
            case .integer, .real: numbers += 1
            case .flag: texts += 1
            case .text(let text):
                texts += 1
                prose = prose || text.utf8.contains(UInt8(ascii: " "))
                zeros = min(zeros, Self.leadingZeros(text))
                devices = devices && Self.isOnSegment0(text)
            }
        }
        isNumeric = numbers > 0 && texts == 0
        isProse = prose
        commonZeros = numbers == 0 && texts > 0 && zeros != .max ? zeros : 0
        isDevices = numbers == 0 && texts > 0 && devices
        contentWidth = widest
        width = max(widest, DisplayWidth.of(name))
    }

    mutating func hideZeros() {
        if commonZeros > 0 { hide(.zeros(commonZeros), characters: commonZeros) }
    }

    mutating func hideSegment() {
        if isDevices { hide(.segment, characters: 5) }
    }

    /// Gives up at most `excess` cells, but none below `floor`.
    mutating func narrow(by excess: Int, floor: Int) {
        if excess > 0, width > floor { width = max(floor, width - excess) }
    }

    private mutating func hide(_ what: Hidden, characters: Int) {
        hidden = what
        contentWidth -= characters
        width = max(contentWidth, DisplayWidth.of(name))
    }

    /// What stands in a cell, escaped.
    static func text(_ cell: Cell, hiding hidden: Hidden) -> String {
        switch (cell, hidden) {
        case (.null, _): "-"
        case (.integer(let number), _): String(number)
        case (.real(let number), _): String(number)
        case (.flag(let flag), _): flag ? "yes" : "no"
        case (.text(let text), .zeros(let count)) where leadingZeros(text) >= count: "0x" + text.dropFirst(2 + count)
        case (.text(let text), .segment) where isOnSegment0(text): String(text.dropFirst(5))
        case (.text(let text), _): text.isEmpty ? "-" : Escaping.escaped(text)
        }
    }

    /// The zeros after `0x` of a 16-digit address, at most 15; 0 for any other text.
    private static func leadingZeros(_ text: String) -> Int {
        guard text.utf8.count == 18, text.hasPrefix("0x") else { return 0 }
        return min(15, text.utf8.dropFirst(2).prefix { $0 == UInt8(ascii: "0") }.count)
    }

    /// True for `0000:BB:DD.F`.
    private static func isOnSegment0(_ text: String) -> Bool {
        let bytes = Array(text.utf8)
        return bytes.count == 12 && text.hasPrefix("0000:") && bytes[7] == UInt8(ascii: ":")
            && bytes[10] == UInt8(ascii: ".")
    }
}
