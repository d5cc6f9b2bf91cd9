/// Input: a byte for the kind, then changes of the golden store. SQLite is not instrumented: the changes are made so that
/// they reach the decoders behind it.
///
/// | kind modulo 8 | |
/// |---|---|
/// | 0 to 3 | rows are edited; every sum is made to fit |
/// | 4 | rows are edited; the sums stay |
/// | 5 | bytes of the file are changed: page, offset, value |
/// | 6 | as 5, and the file is cut or grown, and its header agrees |
/// | 7 | as 5, with a rollback journal beside it |
///
/// The kind divided by 8 says which readers look at it behind the first (``StoreAftermath/Part``): all of them would take
/// most of the time.
enum StoreTarget {
    static func run(_ input: UnsafeRawBufferPointer) {
        var reader = InputReader(input)
        let choice = reader.byte()
        let kind = choice % 8
        var journal: [UInt8]?
        var bytes = EditableStore.Base.golden.original
        if kind <= 4 {
            guard let edited = edited(&reader, fitting: kind < 4) else { return }
            bytes = edited
        } else {
            if kind == 6 { resize(&bytes, pages: Int(reader.byte()), rest: reader.short()) }
            if kind == 7 { journal = self.journal(&reader, of: bytes) }
            change(&bytes, &reader)
        }
        ScratchStore.write(bytes, journal: journal)
        StoreAftermath.run(StoreAftermath.Part.allCases[Int(choice >> 3 & 3)])
    }

    private static func edited(_ input: inout InputReader, fitting: Bool) -> [UInt8]? {
        guard let store = try? EditableStore(.golden) else { preconditionFailure("the base cannot be edited") }
        store.edit(&input)
        if fitting { try? store.fitSums() }
        return try? store.finish()
    }

    /// Some bytes of some pages; half of the pages are the first one, with header and schema.
    private static func change(_ bytes: inout [UInt8], _ input: inout InputReader) {
        for _ in 0..<200 where !input.isAtEnd {
            let page = Int(input.byte())
            let place = (page < 128 ? 0 : page - 127) * 4096 + input.short() % 4096
            let value = input.byte()
            if !bytes.isEmpty { bytes[place % bytes.count] = value }
        }
    }

    private static func resize(_ bytes: inout [UInt8], pages: Int, rest: Int) {
        let count = pages * 4096 + (rest < 32_768 ? 0 : rest % 4096)
        if count < bytes.count {
            bytes.removeLast(bytes.count - count)
        } else {
            bytes += repeatElement(UInt8(truncatingIfNeeded: rest), count: count - bytes.count)
        }
        guard bytes.count >= 32 else { return }
        bytes.replaceSubrange(28..<32, with: [0, 0, UInt8(pages >> 8), UInt8(pages & 255)])
    }

    /// A header with numbers of the input's, then pages of the file under numbers of the input's, each with its checksum.
    private static func journal(_ input: inout InputReader, of bytes: [UInt8]) -> [UInt8] {
        var journal: [UInt8] = [0xd9, 0xd5, 0x05, 0xf9, 0x20, 0xa1, 0x63, 0xd7]
        func append(_ value: UInt32) { withUnsafeBytes(of: value.bigEndian) { journal += $0 } }
        let count = Int(input.byte() % 5)
        let style = input.byte()
        let nonce = UInt32(input.short())
        append(style & 1 == 0 ? UInt32(count) : UInt32(input.short()))
        append(nonce)
        append(style & 2 == 0 ? UInt32(bytes.count / 4096) : UInt32(input.short()))
        append(style & 4 == 0 ? 512 : UInt32(input.short()))
        append(style & 8 == 0 ? 4096 : UInt32(input.short()))
        journal += [UInt8](repeating: 0, count: 512 - journal.count)
        for _ in 0..<count {
            let page = Int(input.byte())
            append(UInt32(page))
            let start = page * 7 % (bytes.count / 4096) * 4096
            let content = bytes[start..<start + 4096]
            journal += content
            // SQLite's own sum: every 200th byte from the end.
            var sum = nonce
            for place in stride(from: 4096 - 200, to: 0, by: -200) { sum &+= UInt32(content[start + place]) }
            append(sum)
        }
        if style & 16 != 0 { journal += [UInt8](repeating: 0x2f, count: Int(style)) + journal[..<8] }
        return journal
    }
}
