import IOMMUModel

/// One word of a table page in memory that is not as recorded.
public struct TableDifference: Sendable, Hashable {
    /// Of the 64-bit word; of the page when the whole page is absent.
    public var entryAddress: PhysicalAddress
    /// Level of the table that the word stands in; level 0 maps 4 KiB.
    public var level: Int
    /// The IOVAs that go through the entry; `nil` when the recorded tree does not reach it.
    public var range: IOVARange?
    /// The recorded word; of an absent page its first one that is not 0.
    public var recorded: UInt64
    /// `nil`: memory does not hold the page.
    public var found: UInt64?
}

extension TableDifference: CustomStringConvertible {
    /// One line: level, both words, the IOVAs; the address is told apart.
    public var description: String {
        let what = found.map { "is \(hex($0)), recorded \(hex(recorded))" } ?? "is not in memory"
        return "level \(level) entry \(what)" + (range.map { ", IOVA \($0)" } ?? "")
    }
}
