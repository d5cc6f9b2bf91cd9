extension SmallMachine {
    /// Changes words and registers as `input` says, to its end: each change is one byte that names it, two for the word
    /// it begins at, and what it takes.
    mutating func patch(_ input: inout InputReader) {
        while !input.isAtEnd {
            let change = input.byte()
            let word = input.short()
            switch change & 7 {
            case 0: self[word] = input.number(bytes: 8)
            case 1: self[word] = pointer(&input)
            case 2: self[word] ^= 1 << UInt64(input.byte() & 63)
            case 3: fill(from: word, count: Int(input.byte() & 63) + 1, &input)
            case 4: copy(to: word, count: Int(input.byte() & 63) + 1, from: input.short())
            case 5: self[word] = leaf(&input)
            case 6: patchRegister(word, &input)
            default: fill(from: word & ~511, count: 512, &input)
            }
        }
    }

    /// A byte for page and style, one for the level.
    private func pointer(_ input: inout InputReader) -> UInt64 {
        let choice = input.byte()
        return style(choice).pointer(to: Int(choice & 15), level: Int(input.byte()))
    }

    private func style(_ choice: UInt8) -> TableStyle { TableStyle(rawValue: choice >> 4 & 7) ?? .present }

    private func leaf(_ input: inout InputReader) -> UInt64 {
        let choice = input.byte()
        return style(choice).leaf(frame: input.number(bytes: 4), level: Int(choice & 1))
    }

    /// Pointers to one page, or with a step to one page after the other.
    private func fill(from word: Int, count: Int, _ input: inout InputReader) {
        let choice = input.byte()
        let second = input.byte()
        let step = Int(second >> 4)
        for number in 0..<count {
            let page = Int(choice & 15) + number * step
            self[word + number] = style(choice).pointer(to: page, level: Int(second & 7))
        }
    }

    private func copy(to word: Int, count: Int, from source: Int) {
        for number in 0..<count { self[word + number] = self[source + number] }
    }

    private mutating func patchRegister(_ number: Int, _ input: inout InputReader) {
        let bits = input.byte()
        let index = number % registers.count
        if bits & 0x80 == 0 {
            registers[index].value ^= 1 << UInt64(bits & 63)
        } else {
            registers[index].value = input.number(bytes: 8)
        }
    }
}
