import Testing

@testable import domstore

/// Text of an input must not act on a terminal.
@Suite struct EscapingTests {
    @Test(arguments: [
        ("plain-ascii_1", "plain-ascii_1"), ("größe 表", "größe 表"), ("a\nb\tc\rd", "a\\nb\\tc\\rd"),
        ("\u{1b}[31mred", "\\u{1b}[31mred"), ("\u{7f}\u{9b}2J", "\\u{7f}\\u{9b}2J"), ("a\\n", "a\\\\n"),
        ("a\u{202e}b\u{2066}c\u{2069}", "a\\u{202e}b\\u{2066}c\\u{2069}"), ("\u{200f}\u{61c}", "\\u{200f}\\u{61c}"),
        ("\u{2028}", "\\u{2028}"), ("\u{0}", "\\u{0}"),
    ])
    func unsafeTextIsEscaped(text: String, expected: String) {
        #expect(Escaping.escaped(text) == expected)
        #expect(Escaping.escaped(bytes: text.utf8) == expected)
        #expect(Escaping.escaped(text).unicodeScalars.allSatisfy { !Escaping.isUnsafe($0) })
    }

    @Test(
        arguments: [
            ([0x61, 0xff, 0x62], "a\\xffb"), ([0xc0, 0xaf], "\\xc0\\xaf"), ([0xed, 0xa0, 0x80], "\\xed\\xa0\\x80"),
            ([0xe2, 0x82], "\\xe2\\x82"), ([0xe2, 0x82, 0xac], "€"),
            ([0xf4, 0x90, 0x80, 0x80], "\\xf4\\x90\\x80\\x80"),
            ([0xf0, 0x9f, 0x98, 0x80], "😀"),
        ] as [([UInt8], String)])
    func bytesThatAreNoTextShowAsHex(bytes: [UInt8], expected: String) {
        #expect(Escaping.escaped(bytes: bytes) == expected)
    }

    @Test func jsonKeepsTheValueAndSparesTheTerminal() {
        #expect(JSONText.string("a\"\\\n\u{1b}\u{202e}é\u{e0001}") == #""a\"\\\n\u001b\u202eé\udb40\udc01""#)
    }

    @Test func aMessageKeepsItsBackslashesAndLosesItsControls() {
        #expect(Escaping.escapedLine("x\\xff: \u{1b}[2J\nz") == "x\\xff: \\u{1b}[2J\\nz")
    }

    @Test(arguments: [("abc", 3), ("é", 1), ("e\u{301}", 1), ("表", 2), ("😀", 2), ("", 0)])
    func widthCountsTerminalCells(text: String, expected: Int) { #expect(DisplayWidth.of(text) == expected) }

    @Test func shorteningCountsCellsToo() {
        #expect(DisplayWidth.shortened("表表表", to: 4) == "表…")
        #expect(DisplayWidth.shortened("abcdef", to: 4) == "abc…")
        #expect(DisplayWidth.shortened("abcd", to: 4) == "abcd")
    }
}
