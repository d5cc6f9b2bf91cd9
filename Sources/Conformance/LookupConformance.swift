import Hardware
import IOMMUModel

/// Checks the lookup structures that ``StructureLayout`` knows.
enum LookupConformance {
    static func run(_ vectors: LookupVectors) -> ConformanceReport {
        var report = ConformanceReport()
        for (position, vector) in vectors.vectors.enumerated() {
            guard let layout = StructureLayout.named(vector.struct) else {
                report.skip()
                continue
            }
            let id = "vectors[\(position)] \(vector.struct) (\(vector.note))"
            let expected = text(vector.fields.mapValues(\.value), vector.words.map(\.value), of: vectors, vector.struct)
            // Both directions: the fields make the words, and the words hold the fields.
            let words = layout.encode(vector.fields.mapValues(\.value))
            let fields = layout.decode(vector.words.map(\.value))?.map { ($0.field.name, $0.value) }
            guard let words, let fields else {
                report.compare(id, expected: expected, got: "no such structure or field")
                continue
            }
            let found = Dictionary(fields, uniquingKeysWith: { first, _ in first })
            report.compare(id, expected: expected, got: text(found, words, of: layout))
        }
        for (position, vector) in vectors.reserved.enumerated() {
            guard let layout = StructureLayout.named(vector.struct) else {
                report.skip()
                continue
            }
            report.compare(
                "reserved[\(position)] \(vector.struct) (\(vector.note))", expected: "\(vector.violations)",
                got: "\(layout.violations(vector.words.map(\.value)).map { [$0.word, $0.high, $0.low] })")
        }
        for (position, vector) in vectors.index.enumerated() {
            guard let split = LookupIndexConformance.split(vector) else {
                report.skip()
                continue
            }
            report.compare("index[\(position)] (\(vector.note))", expected: split.expected, got: split.got)
        }
        return report
    }

    /// The vector's answer: fields by name, those not named 0, the words, and the layout that the file gives.
    private static func text(
        _ fields: [String: UInt64], _ words: [UInt64], of vectors: LookupVectors, _ name: String
    ) -> String {
        let structure = vectors.structs[name]
        var all = fields
        for name in structure?.fields.keys ?? [:].keys where all[name] == nil { all[name] = 0 }
        let places = (structure?.fields ?? [:]).mapValues { "q\($0.word) \($0.hi):\($0.lo)<<\($0.shift)" }
        let reserved = (structure?.reserved ?? [:]).flatMap { word, ranges in
            ranges.map { "q\(word) \($0.map(String.init).joined(separator: ":"))" }
        }
        return text(all, words, places: places, reserved: reserved)
    }

    private static func text(_ fields: [String: UInt64], _ words: [UInt64], of layout: StructureLayout) -> String {
        var places: [String: String] = [:]
        for field in layout.fields {
            places[field.name] = "q\(field.word) \(field.high):\(field.low)<<\(field.isAddress ? field.low : 0)"
        }
        return text(
            fields, words, places: places, reserved: layout.reserved.map { "q\($0.word) \($0.high):\($0.low)" })
    }

    private static func text(
        _ fields: [String: UInt64], _ words: [UInt64], places: [String: String], reserved: [String]
    ) -> String {
        let values = fields.sorted { $0.key < $1.key }.map { name, value in
            "\(name) [\(places[name] ?? "-")] = \(hex(value, digits: 1))"
        }
        return values.joined(separator: ", ") + " in " + words.map { hex($0) }.joined(separator: " ")
            + ", reserved " + reserved.sorted().joined(separator: ", ")
    }
}
