/// Finds where a text stops being JSON: the decoder of the system's library only says that it does.
///
/// One pass, no recursion, O(bytes). It knows the grammar's shape, not each rule of strings and numbers: what it lets
/// pass and the decoder does not is a value out of range.
struct JSONSyntax {
    private enum Expecting {
        case value, valueOrEnd, key, keyOrEnd, colon, commaOrEnd, nothing
    }

    private let bytes: [UInt8]
    private var index = 0
    /// `}` or `]` of each open object and list.
    private var open: [UInt8] = []
    private var expecting = Expecting.value

    private init(_ bytes: [UInt8]) { self.bytes = bytes }

    /// The offset of the first byte that cannot stand where it stands (the end of the file, when something is missing
    /// there), or `nil`.
    static func firstError(in bytes: [UInt8]) -> Int? {
        var scan = JSONSyntax(bytes)
        return scan.run()
    }

    /// The line of the byte at `offset`, from 1.
    static func line(of offset: Int, in bytes: [UInt8]) -> Int {
        bytes.prefix(offset).count { $0 == UInt8(ascii: "\n") } + 1
    }

    private mutating func run() -> Int? {
        while index < bytes.count {
            let byte = bytes[index]
            switch byte {
            case 0x20, 0x09, 0x0a, 0x0d: index += 1
            case _ where !take(byte): return index
            default: break
            }
        }
        return expecting == .nothing ? nil : bytes.count
    }

    /// Takes the token that begins with `byte`; false when it cannot stand here.
    private mutating func take(_ byte: UInt8) -> Bool {
        let isEnd = byte == open.last
        switch expecting {
        case .nothing: return false
        case .colon:
            guard byte == UInt8(ascii: ":") else { return false }
            expecting = .value
            index += 1
        case .commaOrEnd:
            if isEnd { return close() }
            guard byte == UInt8(ascii: ",") else { return false }
            // The decoder allows a comma at the end.
            expecting = open.last == UInt8(ascii: "}") ? .keyOrEnd : .valueOrEnd
            index += 1
        case .key, .keyOrEnd:
            if isEnd, expecting == .keyOrEnd { return close() }
            guard byte == UInt8(ascii: "\""), string() else { return false }
            expecting = .colon
        case .value, .valueOrEnd:
            if isEnd, expecting == .valueOrEnd { return close() }
            return value(byte)
        }
        return true
    }

    private mutating func value(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "{"):
            open.append(UInt8(ascii: "}"))
            expecting = .keyOrEnd
            index += 1
            return true
        case UInt8(ascii: "["):
            open.append(UInt8(ascii: "]"))
            expecting = .valueOrEnd
            index += 1
            return true
        case UInt8(ascii: "\""): guard string() else { return false }
        default: guard word() else { return false }
        }
        expecting = open.isEmpty ? .nothing : .commaOrEnd
        return true
    }

    private mutating func close() -> Bool {
        open.removeLast()
        expecting = open.isEmpty ? .nothing : .commaOrEnd
        index += 1
        return true
    }

    /// A string, from its first quote to behind its last.
    private mutating func string() -> Bool {
        var end = index + 1
        while end < bytes.count, bytes[end] != UInt8(ascii: "\"") {
            guard bytes[end] >= 0x20 else {
                index = end
                return false
            }
            end += bytes[end] == UInt8(ascii: "\\") ? 2 : 1
        }
        index = min(end, bytes.count)
        guard index < bytes.count else { return false }
        index += 1
        return true
    }

    /// `true`, `false`, `null` or a number.
    private mutating func word() -> Bool {
        let rest = bytes[index...].prefix { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (0x30...0x39).contains(byte)
                || [0x2b, 0x2d, 0x2e, UInt8(ascii: "E")].contains(byte)
        }
        guard let first = rest.first else { return false }
        let text = String(decoding: rest, as: UTF8.self)
        guard ["true", "false", "null"].contains(text) || first == 0x2d || (0x30...0x39).contains(first) else {
            return false
        }
        index = rest.endIndex
        return true
    }
}
