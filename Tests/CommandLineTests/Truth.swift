import Foundation

/// A file of truth: what the kernel was asked to map, never read out of a table.
enum Truth {
    struct Run: Hashable {
        /// Without segment; `#` and the PASID follow where the requests have one.
        var bdf: String
        var iova: UInt64
        var length: UInt64
        var pa: UInt64
        var protection: String
    }

    /// The maximal runs of `image`, in the order of the file.
    static func runs(of image: String) throws -> [Run] {
        let text = try String(contentsOfFile: Fixtures.images + image + ".truth.csv", encoding: .utf8)
        let rows = text.split(separator: "\n").dropFirst().map { line -> Run in
            let fields = line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            return Run(
                bdf: fields[0] + (fields[1] == "0" ? "" : "#0x" + String(Int(fields[1])!, radix: 16)),
                iova: number(fields[2]), length: number(fields[3]), pa: number(fields[4]),
                protection: fields[5])
        }
        var result: [Run] = []
        for row in rows.sorted(by: { ($0.bdf, $0.iova) < ($1.bdf, $1.iova) }) {
            if let last = result.last, last.bdf == row.bdf, last.protection == row.protection,
                last.iova + last.length == row.iova, last.pa + last.length == row.pa
            {
                result[result.count - 1].length += row.length
            } else {
                result.append(row)
            }
        }
        return result
    }

    static func hex(_ value: UInt64) -> String { String(format: "0x%016llx", value) }

    private static func number(_ text: String) -> UInt64 { UInt64(text.dropFirst(2), radix: 16) ?? 0 }
}

extension Truth {
    /// The rows of `mappings --format csv`, by device without segment and PASID, as in ``Run/bdf``.
    static func runs(ofMappings csv: String) throws -> [String: [Run]] {
        var result: [String: [Run]] = [:]
        for line in csv.split(separator: "\n").dropFirst() {
            let fields = line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            let device = String(fields[0].dropFirst(5)) + (fields[1].isEmpty ? "" : "#" + fields[1])
            result[device, default: []].append(
                Run(
                    bdf: device, iova: number(fields[2]), length: number(fields[3]) - number(fields[2]) + 1,
                    pa: number(fields[4]), protection: fields[5]))
        }
        return result
    }
}
