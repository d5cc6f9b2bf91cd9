import IOMMUModel

/// A file of areas: what an IOAS, or a truth beside an image, says is mapped.
///
/// Two forms, told apart by the header line (lifecycle.md, "Imported machines"):
///
/// * `device,pasid,iova,last,protection,backing,offset`: `pasid` is `-` or empty when untagged; `backing` is `physical`
///   or the number of a backing;
/// * `bdf,pasid,iova,len,pa,prot,source`: PASID 0 is untagged, the backing is physical memory, its offset `pa`.
public enum AreaCSV {
    /// One line.
    public struct Row: Sendable, Hashable {
        /// Of a truth file's `bdf`, or of `device`; on segment 0 when the text names none.
        public var requester: RequesterID
        /// `nil`: untagged.
        public var pasid: PASID?
        /// Whole pages.
        public var range: IOVARange
        /// Never empty.
        public var protection: Protection
        /// `nil`: physical memory, ``offset`` is the address.
        public var backing: BackingID?
        /// A multiple of 4 KiB.
        public var offset: UInt64
        /// Who says so (a truth file's last column), else empty.
        public var source: String
    }

    /// 10^6 areas are some 60 MB.
    public static let byteLimit: UInt64 = 1 << 30

    /// Reads the file at `path`; the rows in its order. Lines that are empty are passed over.
    public static func read(file path: String) throws(ImportError) -> [Row] {
        let file = try InputFile(path)
        return try read(bytes: try file.bytes(limit: byteLimit), path: path)
    }

    /// Reads the text of such a file; `path` is for messages.
    public static func read(bytes: [UInt8], path: String) throws(ImportError) -> [Row] {
        var rows: [Row] = []
        var form: Form?
        var number = 0
        for line in bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false) {
            number += 1
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            if line.isEmpty { continue }
            let fields = line.split(separator: UInt8(ascii: ","), omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
            let reader = LineReader(path: path, line: number, fields: fields)
            if let form {
                guard fields.count == 7 else { throw reader.error("found \(fields.count) fields, expected 7") }
                rows.append(try form == .truth ? reader.truth() : reader.declared())
            } else {
                guard let found = Form(fields) else {
                    throw reader.error(
                        "expected the header \(Form.declared.rawValue) or \(Form.truth.rawValue)")
                }
                form = found
            }
        }
        guard form != nil else { throw .areaFile(path: path, line: 1, what: "found an empty file, expected a header") }
        return rows
    }

    private enum Form: String, CaseIterable {
        case declared = "device,pasid,iova,last,protection,backing,offset"
        case truth = "bdf,pasid,iova,len,pa,prot,source"

        init?(_ fields: [String]) { self.init(rawValue: fields.joined(separator: ",")) }
    }

    /// One line of seven fields.
    private struct LineReader {
        var path: String
        var line: Int
        var fields: [String]

        func error(_ what: String) -> ImportError { .areaFile(path: path, line: line, what: what) }

        private func field<Value>(
            _ index: Int, _ name: String, _ expected: String, _ read: (String) -> Value?
        ) throws(ImportError) -> Value {
            guard let value = read(fields[index]) else {
                throw error("\(name): found \"\(fields[index])\", expected \(expected)")
            }
            return value
        }

        private func page(_ index: Int, _ name: String) throws(ImportError) -> UInt64 {
            try field(index, name, "a multiple of 4096") { text in
                parseInteger(text).flatMap { $0 & 0xfff == 0 ? $0 : nil }
            }
        }

        private func requester(_ name: String) throws(ImportError) -> RequesterID {
            try field(0, name, "a device as SSSS:BB:DD.F or BB:DD.F") { RequesterID($0) }
        }

        func truth() throws(ImportError) -> Row {
            let pasid = try field(1, "pasid", "0 (untagged) or a number of 20 bits") { text in
                parseInteger(text).flatMap { UInt32(exactly: $0) }.flatMap { PASID($0) }
            }
            let first = try page(2, "iova")
            let range = try field(3, "len", "a multiple of 4096 that does not pass the end") { text in
                parseInteger(text).flatMap { $0 & 0xfff == 0 ? IOVARange(first: IOVA(first), bytes: $0) : nil }
            }
            let offset = try page(4, "pa")
            return Row(
                requester: try requester("bdf"), pasid: pasid.rawValue == 0 ? nil : pasid, range: range,
                protection: try field(5, "prot", "r, w or rw") { Protection($0) }, backing: nil,
                offset: try checked(offset, range, "pa"), source: fields[6])
        }

        func declared() throws(ImportError) -> Row {
            let pasid: PASID? = try field(1, "pasid", "- (untagged) or a number of 20 bits") { text -> PASID?? in
                if text.isEmpty || text == "-" { return .some(nil) }
                return parseInteger(text).flatMap { UInt32(exactly: $0) }.flatMap { PASID($0) }.map { .some($0) }
            }
            let first = try page(2, "iova")
            let range = try field(3, "last", "the last byte of a page, not below iova") { text in
                parseInteger(text).flatMap { last in
                    last & 0xfff == 0xfff ? IOVARange(first: IOVA(first), last: IOVA(last)) : nil
                }
            }
            let backing: BackingID? = try field(5, "backing", "physical or a number") { text -> BackingID?? in
                if text == "physical" { return .some(nil) }
                return parseInteger(text).flatMap { UInt32(exactly: $0) }.map { .some(BackingID($0)) }
            }
            let offset = try page(6, "offset")
            return Row(
                requester: try requester("device"), pasid: pasid, range: range,
                protection: try field(4, "protection", "r, w or rw") { Protection($0) }, backing: backing,
                offset: try checked(offset, range, "offset"), source: "")
        }

        /// The last byte's offset must be a number too.
        private func checked(_ offset: UInt64, _ range: IOVARange, _ name: String) throws(ImportError) -> UInt64 {
            guard !offset.addingReportingOverflow(range.lastOffset).overflow else {
                throw error("\(name): found \(hex(offset)), expected an end below 2^64")
            }
            return offset
        }
    }
}
