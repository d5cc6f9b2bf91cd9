/// The file `lookup.json`: layouts of lookup structures, packed examples, reserved-bit violations, index splits.
struct LookupVectors: Decodable {
    struct Field: Decodable {
        var word: Int
        var hi: Int
        var lo: Int
        /// 0, or where an address keeps its place, `lo`.
        var shift: Int
    }

    struct Structure: Decodable {
        var words: Int
        var fields: [String: Field]
        /// Word → [high, low] pairs.
        var reserved: [String: [[Int]]]
    }

    struct Packed: Decodable {
        var `struct`: String
        var note: String
        /// Fields that are not named are 0.
        var fields: [String: HexInteger]
        var words: [HexInteger]
    }

    struct Reserved: Decodable {
        var `struct`: String
        var note: String
        var words: [HexInteger]
        /// [word, high, low], in the order of the layout.
        var violations: [[Int]]
    }

    /// The keys of VT-d and AMD; other lines are for vendors that are not built.
    struct Index: Decodable {
        var note: String
        /// A requester id.
        var rid: UInt64?
        var vtdRootIndex: Int?
        var vtdLegacyContextIndex: Int?
        var vtdSmHalf: String?
        var vtdSmContextIndex: Int?
        var amdDteByteOffset: Int?
        /// Of the same line as ``vtdDirIndex``, ``vtdTableIndex`` and ``amdGcr3IndicesGlx2``.
        var pasid: UInt64?
        var vtdDirIndex: Int?
        var vtdTableIndex: Int?
        /// Of a GCR3 table of three levels, the root's index first.
        var amdGcr3IndicesGlx2: [Int]?
    }

    var structs: [String: Structure]
    var vectors: [Packed]
    var reserved: [Reserved]
    var index: [Index]
}
