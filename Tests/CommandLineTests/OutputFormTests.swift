import Testing

@testable import domstore

/// The output forms, without a process around them.
@Suite struct OutputFormTests {
    static let columns = ["device", "pasid", "iova", "count"]
    static let rows: [[Cell]] = [
        [.text("0000:00:03.0"), .null, .text("0x0000000000100000"), .integer(7)],
        [.text("0000:00:04.0"), .text("0x12"), .text("0x0000002000600000"), .integer(12345)],
    ]

    static func print(_ columns: [String], _ rows: [[Cell]], _ format: OutputFormat) throws -> String {
        try Captured.output { sink in
            var stream = RecordStream(columns: columns, format: format, color: .never, sink: sink)
            for row in rows { try stream.row(row) }
            try stream.finish()
        }
    }

    @Test func aTableHasAlignedColumnsAndNumbersOnTheRight() throws {
        #expect(
            try Self.print(Self.columns, Self.rows, .table) == """
                device        pasid  iova                count
                0000:00:03.0  -      0x0000000000100000      7
                0000:00:04.0  0x12   0x0000002000600000  12345

                """)
    }

    @Test func jsonIsOneArrayWithKeysInTheOrderOfTheColumns() throws {
        #expect(
            try Self.print(Self.columns, Self.rows, .json) == """
                [
                {"device": "0000:00:03.0", "pasid": null, "iova": "0x0000000000100000", "count": 7},
                {"device": "0000:00:04.0", "pasid": "0x12", "iova": "0x0000002000600000", "count": 12345}
                ]

                """)
    }

    @Test func jsonLinesAreOneObjectALine() throws {
        #expect(
            try Self.print(Self.columns, Self.rows, .jsonl).split(separator: "\n").map(String.init) == [
                #"{"device": "0000:00:03.0", "pasid": null, "iova": "0x0000000000100000", "count": 7}"#,
                #"{"device": "0000:00:04.0", "pasid": "0x12", "iova": "0x0000002000600000", "count": 12345}"#,
            ])
    }

    @Test func csvHasAHeaderAndQuotesWhereItMust() throws {
        let rows: [[Cell]] = [
            [.text("a,\"b\"\r\nc"), .null, .text(""), .integer(-1)], [.flag(true), .null, .null, .null],
        ]
        #expect(
            try Self.print(Self.columns, rows, .csv)
                == "device,pasid,iova,count\n\"a,\"\"b\"\"\r\nc\",,\"\",-1\nyes,,,\n")
    }

    @Test(arguments: [
        (OutputFormat.table, "device  pasid  iova  count\n"), (.json, "[]\n"), (.jsonl, ""),
        (.csv, "device,pasid,iova,count\n"),
    ])
    func anEmptyListingIsStillWellFormed(format: OutputFormat, expected: String) throws {
        #expect(try Self.print(Self.columns, [], format) == expected)
    }

    @Test func aNarrowTerminalFirstLosesTheZerosThatAllAddressesBeginWith() {
        let layout = TableLayout(columns: Self.columns, rows: Self.rows, width: 40)
        let texts = Self.rows.map { row in row.indices.map { layout.text(row[$0], column: $0) } }
        #expect(texts[0][2] == "0x0000100000")
        #expect(texts[1][2] == "0x2000600000")
        #expect(layout.total <= 40)
        #expect(layout.widths == [12, 5, 12, 5])
    }

    @Test func aNarrowTerminalThenPutsWordsBelowTheirRow() throws {
        let rows = [
            [Cell.text("reserved"), .text("a message that goes on and on"), .integer(3)],
            [.text("x"), .null, .integer(4)],
        ]
        let output = try Captured.output { sink in
            var form = TableForm(columns: ["rule", "message", "n"], width: 25, color: false)
            for row in rows { try form.row(row, to: sink) }
            try form.finish(to: sink)
        }
        #expect(
            output == """
                rule      n
                    message
                reserved  3
                    a message that goes
                    on and on
                x         4

                """)
    }

    @Test func theDevicesOfANarrowTerminalStayDistinguishable() {
        let rows = (0..<3).map { [Cell.text("0000:00:06.\($0)"), .text("vfio-pci-driver"), .text("iommu-group")] }
        let layout = TableLayout(columns: ["device", "driver", "group"], rows: rows, width: 24)
        let cells = rows.map { layout.fitted(layout.text($0[0], column: 0), column: 0) }
        #expect(cells == ["00:06.0", "00:06.1", "00:06.2"])
        #expect(layout.fitted(layout.text(rows[0][1], column: 1), column: 1).hasSuffix("…"))
    }

    @Test func aTableThatIsPipedIsNeverCut() {
        let rows = [[Cell.text(String(repeating: "x", count: 500))]]
        let layout = TableLayout(columns: ["x"], rows: rows, width: nil)
        #expect(layout.fitted(layout.text(rows[0][0], column: 0), column: 0).count == 500)
    }

    @Test func rowsPastTheSampleStreamOut() throws {
        let count = TableForm.sampleCount + 500
        let output = try Self.print(["n"], (0..<count).map { [.integer(Int64($0))] }, .table)
        let lines = output.split(separator: "\n", omittingEmptySubsequences: false)
        #expect(lines.count == count + 2)
        #expect(lines[count] == "\(count - 1)")
    }

    @Test func numbersThatNoReaderOfJSONHoldsExactlyBecomeText() {
        #expect(Cell(UInt64.max) == .text("18446744073709551615"))
        #expect(Cell(UInt64(5)) == .integer(5))
    }
}
