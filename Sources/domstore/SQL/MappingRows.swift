import IOMMUModel
import SQLite
import Snapshot
import Store
import Validate

/// What the hardware would translate as rows of SQL: those of `domstore mappings`, with the last physical address and the
/// length (`Int64.max` where it is more).
///
/// The rows of one device are made at a time; a query that names a device makes only that one's.
final class MappingRows: VirtualRows {
    /// Mappings that are held at a time.
    static let most = 4_000_000

    private let machine: Machine
    /// Devices whose rows are still to be made.
    private var devices: ArraySlice<RequesterID> = []
    private var rows: [RecordedMapping] = []
    private var index = 0

    /// The table `mapping` of the generation at `path`. Nothing is read before a query names it.
    static func table(of path: String) -> VirtualTable {
        let machine = Machine(path: path)
        return VirtualTable(
            name: "mapping",
            columns: [
                .init("device", "TEXT", isKey: true), .init("pasid", "TEXT"), .init("iova", "TEXT"),
                .init("last", "TEXT"), .init("pa", "TEXT"), .init("pa_last", "TEXT"), .init("bytes", "INTEGER"),
                .init("protection", "TEXT"),
            ], estimatedRows: 1 << 20
        ) { _ in MappingRows(machine) }
    }

    private init(_ machine: Machine) { self.machine = machine }

    /// The recorded machine, read when it is first asked for. Used by the one thread of its connection.
    private final class Machine: @unchecked Sendable {
        private let path: String
        private var known: RecordedMachine?

        init(path: String) { self.path = path }

        func read() throws(SQLiteError) -> RecordedMachine {
            if let known { return known }
            do {
                // What is damaged of it is told behind the rows.
                guard let snapshot = try GenerationReader(path: path).snapshotAndDefects().snapshot else {
                    throw SQLiteError(extendedCode: 11, message: "the records cannot be read")
                }
                let machine = try RecordedMachine(snapshot)
                known = machine
                return machine
            } catch {
                throw SQLiteError(extendedCode: 11, message: "\(error)")
            }
        }
    }

    func begin(_ keys: [Int: SQLValue]) throws(SQLiteError) {
        let all = try machine.read().snapshot.devices.map(\.requester)
        devices = all[...]
        if case .text(let text)? = keys[0] { devices = all.filter { $0.description == text }[...] }
        (rows, index) = ([], 0)
        try settle()
    }

    func next() throws(SQLiteError) {
        index += 1
        try settle()
    }

    var isAtEnd: Bool { index == rows.count }

    private func settle() throws(SQLiteError) {
        while index == rows.count, let device = devices.popFirst() {
            rows.removeAll(keepingCapacity: true)
            index = 0
            var isTooMuch = false
            try machine.read().forEachMapping(device: device) { mapping in
                isTooMuch = rows.count == Self.most
                if !isTooMuch { rows.append(mapping) }
                return !isTooMuch
            }
            if isTooMuch {
                throw SQLiteError(
                    extendedCode: 18,
                    message: "\(device) has more than \(Self.most) mappings; 'domstore mappings' lists all")
            }
        }
    }

    func value(_ column: Int) -> SQLValue {
        let mapping = rows[index]
        let length = mapping.range.last.rawValue - mapping.range.first.rawValue
        switch column {
        case 0: return .text(mapping.device.description)
        case 1: return mapping.pasid.map { .text($0.description) } ?? .null
        case 2: return .text(mapping.range.first.description)
        case 3: return .text(mapping.range.last.description)
        case 4: return .text(mapping.pa.description)
        case 5: return .text(PhysicalAddress(mapping.pa.rawValue &+ length).description)
        case 6: return .integer(Int64(clamping: length) &+ (length < UInt64(Int64.max) ? 1 : 0))
        default: return .text(mapping.protection.description)
        }
    }
}
