import IOMMUModel
import Import

/// Input: the text of a file of areas.
enum AreaTarget {
    static func run(_ input: UnsafeRawBufferPointer) {
        guard let rows = try? AreaCSV.read(bytes: Array(input), path: "-") else { return }
        for row in rows {
            precondition(row.range.first.isAligned(toLog2: 12), "\(row) begins inside a page")
            precondition(row.range.last.rawValue & 0xfff == 0xfff, "\(row) ends inside a page")
            precondition(row.offset & 0xfff == 0, "\(row) has an offset inside a page")
            precondition(row.offset <= .max - row.range.lastOffset, "\(row) passes the end of its backing")
            precondition(!row.protection.isEmpty, "\(row) gives no right")
        }
    }
}
