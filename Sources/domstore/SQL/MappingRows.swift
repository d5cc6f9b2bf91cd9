import IOMMUModel
import SQLite
import Snapshot
import Store
import Synchronization
import Validate

/// What the hardware would translate as rows of SQL: those of `domstore mappings`, with the last physical address and the
/// length (`Int64.max` where it is more).
///
/// They are made once for a query, at most ``most`` of them: tables that several devices share are read once, and a join of
/// the table with itself reads them no second time. A query that names a device makes only that one's.
final class MappingRows: VirtualRows {
    /// Mappings that are held at a time.
    static let most = 4_000_000

    private let machine: Machine
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

    /// The recorded machine, read when it is first asked for.
    private final class Machine: Sendable {
        private let path: String
        private let state = Mutex(State())

        private struct State {
            var machine: RecordedMachine?
            /// What has been made of it: by device, and under `nil` of all.
            var made: [RequesterID?: [RecordedMapping]] = [:]
        }

        init(path: String) { self.path = path }

        /// The mappings of `device`, or of all.
        func rows(of device: RequesterID?) throws(SQLiteError) -> [RecordedMapping] {
            try state.withLock { (state) throws(SQLiteError) in try rows(of: device, &state) }
        }

        private func rows(of device: RequesterID?, _ state: inout State) throws(SQLiteError) -> [RecordedMapping] {
            if let rows = state.made[device] { return rows }
            let machine = if let known = state.machine { known } else { try read() }
            state.machine = machine
            var rows: [RecordedMapping] = []
            var isTooMuch = false
            let left = MappingRows.most - state.made.values.reduce(0) { $0 + $1.count }
            machine.forEachMapping(device: device) { mapping in
                isTooMuch = rows.count == left
                if !isTooMuch { rows.append(mapping) }
                return !isTooMuch
            }
            if isTooMuch {
                throw SQLiteError(
                    extendedCode: 18,
                    message: "more than \(MappingRows.most) mappings; ask for one device, or see 'domstore mappings'")
            }
            state.made[device] = rows
            return rows
        }

        private func read() throws(SQLiteError) -> RecordedMachine {
            do {
                // What is damaged of it is told behind the rows.
                guard let snapshot = try GenerationReader(path: path).snapshotAndDefects().snapshot else {
                    throw SQLiteError(extendedCode: 11, message: "the records cannot be read")
                }
                return try RecordedMachine(snapshot)
            } catch {
                throw SQLiteError(extendedCode: 11, message: "\(error)")
            }
        }
    }

    func begin(_ keys: [Int: SQLValue]) throws(SQLiteError) {
        index = 0
        if case .text(let text)? = keys[0] {
            // A text in another form equals no device's.
            let device = RequesterID(text).flatMap { $0.description == text ? $0 : nil }
            rows = if let device { try machine.rows(of: device) } else { [] }
        } else {
            rows = try machine.rows(of: nil)
        }
    }

    func next() throws(SQLiteError) { index += 1 }

    var isAtEnd: Bool { index == rows.count }

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
