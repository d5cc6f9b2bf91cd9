import ArgumentParser
import SQLite
import Store

/// A verb that prints one view of a generation: the keys are the view's columns.
protocol ListingVerb: ParsableCommand {
    /// The view's name.
    var view: String { get }
    var input: StoreArguments { get }
    var output: OutputOptions { get }
}

extension ListingVerb {
    func run() throws {
        let reader = try input.open()
        let (columns, rows) = try reader.cells(ofView: view)
        try output.list(columns, rows)
        try Damage(reader.defects(), of: reader.header.path).report("what is listed of it is as it stands there")
    }
}

extension GenerationReader {
    /// The rows of a view as cells.
    borrowing func cells(ofView view: String) throws(Failure) -> (columns: [String], rows: [[Cell]]) {
        do throws(StoreError) {
            let (columns, rows) = try rows(ofView: view)
            return (columns, rows.map { $0.map(Cell.init) })
        } catch {
            throw Failure(error, about: header.path)
        }
    }
}

extension Cell {
    /// A value of a view or a query; a blob is `0x` and its digits.
    init(_ value: SQLValue) {
        switch value {
        case .null: self = .null
        case .integer(let number): self = .integer(number)
        case .text(let text): self = .text(text)
        case .real(let number): self = .real(number)
        case .blob(let bytes): self = .text("0x" + bytes.map { Escaping.hexDigits(UInt32($0), 2) }.joined())
        }
    }
}
