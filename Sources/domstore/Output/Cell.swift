import IOMMUModel

/// One value of one column of a listing, before any output form has seen it.
enum Cell: Hashable {
    /// Nothing: `-` in a table, `null` in JSON, an empty field in CSV. An untagged PASID is one.
    case null
    case integer(Int64)
    /// A number with a fraction: of a query's own making.
    case real(Double)
    /// Text that may have been read from an input: not escaped yet.
    case text(String)
    /// A yes or no that is not a column of a view: `yes`/`no` in a table and CSV, `true`/`false` in JSON.
    case flag(Bool)

    /// `text`, or ``null`` for `nil`.
    init(_ text: String?) { self = text.map(Cell.text) ?? .null }

    /// A count; one over `Int64.max` becomes text, so that no reader of JSON rounds it.
    init(_ number: (some BinaryInteger)?) {
        guard let number else {
            self = .null
            return
        }
        self = Int64(exactly: number).map(Cell.integer) ?? .text(String(number))
    }

    /// An address in its one outward form, `0x` and 16 hex digits.
    init(_ address: Address<some AddressSpace>?) { self.init(address?.description) }

    /// A PASID in hexadecimal; ``null`` when untagged.
    init(pasid: PASID?) { self.init(pasid?.description) }
}
