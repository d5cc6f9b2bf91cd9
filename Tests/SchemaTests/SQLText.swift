/// SQL as tokens: comments and white space do not count.
enum SQLText {
    /// Words, numbers, quoted texts and operators of `sql`, in order.
    static func tokens(_ sql: String) -> [String] {
        let bytes = Array(sql.utf8)
        var result: [String] = []
        var index = 0
        func isWord(_ byte: UInt8) -> Bool {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        while index < bytes.count {
            let start = index
            let byte = bytes[index]
            if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n") {
                index += 1
                continue
            }
            if bytes[index...].starts(with: "--".utf8) {
                while index < bytes.count, bytes[index] != UInt8(ascii: "\n") { index += 1 }
                continue
            }
            if byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") {
                index += 1
                while index < bytes.count, bytes[index] != byte { index += 1 }
                index += 1
            } else if isWord(byte) {
                while index < bytes.count, isWord(bytes[index]) { index += 1 }
            } else {
                index += 1
                let two = bytes[start..<min(start + 2, bytes.count)]
                if ["<=", ">=", "<>", "!=", "==", "<<", ">>", "||"].contains(where: { two.elementsEqual($0.utf8) }) {
                    index += 1
                }
            }
            result.append(String(decoding: bytes[start..<min(index, bytes.count)], as: UTF8.self))
        }
        return result
    }

    /// One definition of a `CREATE TABLE`: its first word (a column, or `CHECK`, `PRIMARY`, `FOREIGN`) and all its tokens.
    static func definitions(ofTable sql: String) -> [[String]] {
        let tokens = tokens(sql)
        guard let open = tokens.firstIndex(of: "(") else { return [] }
        var result: [[String]] = [[]]
        var depth = 0
        for token in tokens[(open + 1)...] {
            if token == "(" { depth += 1 }
            if token == ")" { depth -= 1 }
            if depth < 0 { break }
            if depth == 0, token == "," {
                result.append([])
            } else {
                result[result.count - 1].append(token)
            }
        }
        return result
    }

    /// What stands in the parentheses of `CHECK` in one definition; `nil` without one.
    static func check(in definition: [String]) -> [String]? {
        guard let start = definition.firstIndex(of: "CHECK") else { return nil }
        var depth = 0
        for index in start..<definition.count {
            if definition[index] == "(" { depth += 1 }
            if definition[index] == ")" {
                depth -= 1
                if depth == 0 { return Array(definition[(start + 2)..<index]) }
            }
        }
        return nil
    }
}
