/// A table that holds records. Its number goes into every checksum of its rows; numbers are never used again.
package enum RecordTable: UInt32, CaseIterable, Sendable {
    case generation = 1
    case feature = 2
    case unit = 3
    case unitRegister = 4
    case memoryRange = 5
    case group = 6
    case device = 7
    case reservedRegion = 8
    case backing = 9
    case session = 10
    case ioas = 11
    case domain = 12
    case domainUnit = 13
    case hwpt = 14
    case attachment = 15
    case engineState = 16
    case areaChunk = 17
    case lookupChunk = 18
    case tableChunk = 19
    case event = 20
    case manifest = 21
    case seal = 22

    /// The tables that the manifest counts: all but itself and the seal.
    package static let manifested: [RecordTable] = allCases.filter { $0 != .manifest && $0 != .seal }

    package var name: String {
        switch self {
        case .generation: "generation"
        case .feature: "feature"
        case .unit: "unit"
        case .unitRegister: "unit_register"
        case .memoryRange: "memory_range"
        case .group: "iommu_group"
        case .device: "device"
        case .reservedRegion: "reserved_region"
        case .backing: "backing"
        case .session: "session"
        case .ioas: "ioas"
        case .domain: "domain"
        case .domainUnit: "domain_unit"
        case .hwpt: "hwpt"
        case .attachment: "attachment"
        case .engineState: "engine_state"
        case .areaChunk: "area_chunk"
        case .lookupChunk: "lookup_chunk"
        case .tableChunk: "table_chunk"
        case .event: "event"
        case .manifest: "manifest"
        case .seal: "seal"
        }
    }

    /// Every column but the last one, `checksum`, in the order of the schema; that order goes into the checksum.
    package var columns: [String] {
        switch self {
        case .generation:
            ["id", "number", "origin", "parent_number", "parent_root", "area_record_bytes", "directory_record_bytes"]
        case .feature: ["bit", "name", "required"]
        case .unit:
            [
                "id", "kind", "segment", "register_base_page", "host_address_width", "encryption_bit", "accessed_dirty",
            ]
        case .unitRegister: ["unit", "name", "value"]
        case .memoryRange: ["first_page", "last_page", "kind"]
        case .group: ["id", "owner", "owner_token", "owner_assumed"]
        case .device:
            [
                "segment", "rid", "unit", "iommu_group", "has_function", "vendor_id", "device_id", "class_code",
                "driver",
                "ats_enabled", "pri_enabled", "preserved",
            ]
        case .reservedRegion: ["iommu_group", "first_iova", "last_iova", "kind"]
        case .backing: ["id", "kind", "base_page", "byte_count", "is_sealed", "is_assumed"]
        case .session: ["id", "name"]
        case .ioas: ["id", "area_origin", "is_immutable"]
        case .domain: ["id", "kind", "holder", "parent", "preserved"]
        case .domainUnit:
            [
                "domain", "unit", "format", "root_page", "top_level", "address_bits", "sign_extended",
                "hardware_updated_mask",
            ]
        case .hwpt: ["id", "ioas", "domain", "token"]
        case .attachment:
            ["segment", "rid", "tagged", "pasid", "domain", "cache_tag", "cache_pasid", "entry_address"]
        case .engineState: ["name", "bytes"]
        case .areaChunk: ["id", "ioas", "first_page", "last_page", "record_count", "records"]
        case .lookupChunk: ["id", "unit", "first_page", "last_page", "page_count", "directory", "runs"]
        case .tableChunk: ["id", "domain", "first_page", "last_page", "page_count", "directory", "runs"]
        case .event: ["sequence", "time_nanoseconds", "kind", "name", "arguments", "errno"]
        case .manifest: ["table_name", "row_count", "checksum_sum"]
        case .seal:
            ["id", "generation", "nonce", "root", "table_count", "row_count", "time_nanoseconds", "hash"]
        }
    }

    /// How many of ``columns`` are the key that findings name; for chunks, more than the primary key.
    var keyColumnCount: Int {
        switch self {
        case .generation, .feature, .unit, .group, .backing, .session, .ioas, .domain, .hwpt, .engineState, .event,
            .manifest, .seal:
            1
        case .unitRegister, .device, .domainUnit: 2
        case .memoryRange, .areaChunk, .lookupChunk, .tableChunk: 3
        case .reservedRegion, .attachment: 4
        }
    }

    /// How many of ``columns`` are the primary key.
    package var primaryKeyColumnCount: Int {
        switch self {
        case .areaChunk, .lookupChunk, .tableChunk: 1
        default: keyColumnCount
        }
    }

    /// Adds so many rows, parameters in the order of the columns, checksum last, row by row.
    func insertSQL(rows: Int = 1) -> String {
        let names = (columns + ["checksum"]).joined(separator: ", ")
        let places = "(" + (columns + ["checksum"]).map { _ in "?" }.joined(separator: ", ") + ")"
        return "INSERT INTO \(name) (\(names)) VALUES " + repeatElement(places, count: rows).joined(separator: ", ")
    }

    /// A host can have thousands of its rows, and they are small.
    var hasManyRows: Bool {
        switch self {
        case .device, .group, .ioas, .domain, .domainUnit, .hwpt, .attachment, .event: true
        default: false
        }
    }

    /// False for what is written once and stays: what the file is, events, manifest, seal.
    var isChangeable: Bool {
        switch self {
        case .generation, .feature, .event, .manifest, .seal: false
        default: true
        }
    }

    private var primaryKey: ArraySlice<String> { columns.prefix(primaryKeyColumnCount) }

    /// As ``insertSQL``; a row with the same primary key is changed.
    var replaceSQL: String {
        let changes = (columns.dropFirst(primaryKeyColumnCount) + ["checksum"]).map { "\($0) = excluded.\($0)" }
        return insertSQL() + " ON CONFLICT (\(primaryKey.joined(separator: ", "))) DO UPDATE SET "
            + changes.joined(separator: ", ")
    }

    /// The checksum of the row with a primary key.
    var lookupSQL: String { "SELECT checksum FROM \(name) WHERE \(isKey)" }

    /// Removes the row with a primary key.
    var removeSQL: String { "DELETE FROM \(name) WHERE \(isKey)" }

    private var isKey: String { primaryKey.map { "\($0) = ?" }.joined(separator: " AND ") }

    /// Every row in the order of the primary key.
    package var selectSQL: String {
        let key = columns.prefix(primaryKeyColumnCount).joined(separator: ", ")
        return "SELECT \(columns.joined(separator: ", ")), checksum FROM \(name) ORDER BY \(key)"
    }
}
