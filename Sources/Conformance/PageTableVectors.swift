/// A file of one page-table format: entries and walks.
struct PageTableVectors: Decodable {
    /// Absent keys have the defaults of vectors/README.md.
    struct Configuration: Decodable {
        var haw: Int?
        var sslps: Int?
        var sc: Bool?
        var dt: Bool?
        var topLevel: Int?
        var topPa: HexInteger?
        var vaBits: Int?
        var signExtend: Bool?
        var nxe: Bool?
        var fl1gp: Bool?
        var cbit: Int?
        var rootPerms: Rights?
        var oas: Int?
        var ha: Bool?
        var hd: Bool?
    }

    /// `user` and `exec` where the format has them.
    struct Rights: Decodable {
        var read: Bool
        var write: Bool
        var user: Bool?
        var exec: Bool?
    }

    struct Encode: Decodable {
        struct Options: Decodable {
            var snp: Bool?
            var fc: Bool?
            var cbit: Int?
            var fwb: Bool?
        }
        var id: String
        var kind: String
        var level: Int
        var oa: HexInteger?
        var pa: HexInteger?
        var pageLg2: Int?
        var prot: [String]?
        var opts: Options?
        var items: Int?
        var entry: HexInteger?
        var why: String?
    }

    struct Decode: Decodable {
        struct Result: Decodable {
            var type: String
            var oa: HexInteger?
            var itemOa: HexInteger?
            var pa: HexInteger?
            var nextLevel: Int?
            var pageLg2: Int?
            var contigLg2: Int?
            var perms: Rights?
            var snp: Bool?
            var fc: Bool?
            var pat: Bool?
            var encrypted: Bool?
            var skippedLevels: [Int]?
            var accessed: Bool?
            var dirty: Bool?
            var ignoredBits: HexInteger?
            var fault: String?
            var lint: [String]?
        }
        var id: String
        var level: Int
        var entry: HexInteger
        var index: Int?
        var cfg: Configuration
        var result: Result
    }

    struct Walk: Decodable {
        struct Page: Decodable {
            struct Entry: Decodable {
                var index: Int
                var value: HexInteger
            }
            var pa: HexInteger
            var entries: [Entry]
        }
        struct Query: Decodable {
            struct Result: Decodable {
                var ok: Bool
                var pa: HexInteger?
                var pageLg2: Int?
                var level: Int?
                var perms: Rights?
                var fault: String?
                var lint: [String]?
            }
            var iova: HexInteger
            var access: String
            var result: Result
        }
        var id: String
        var cfg: Configuration
        var memory: [Page]
        var queries: [Query]
    }

    var encode: [Encode]
    var decode: [Decode]
    var walks: [Walk]
}
