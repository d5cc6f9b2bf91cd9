import CReference
import Snapshot

/// A snapshot as the side of C has it; as it is, and not copied again.
final class FlatState {
    private(set) var state = ref_state()
    private let rows: UnsafeMutableBufferPointer<UInt64>
    private let areas: UnsafeMutableBufferPointer<ref_area>
    private let sets: UnsafeMutableBufferPointer<ref_page_set>
    private var memory: [UnsafeMutableRawPointer] = []

    /// The number of records: areas, pages, and rows of all other kinds.
    var recordCount: Int { rows.count + areas.count + sets.reduce(0) { $0 + $1.count } }

    init(_ snapshot: Snapshot) {
        // Every record of the other kinds is a row of eight words, whatever is in it.
        let rowCount =
            snapshot.devices.count + snapshot.groups.count + snapshot.attachments.count + snapshot.domains.count
            + snapshot.domainUnits.count + snapshot.ioases.count + snapshot.hwpts.count
        rows = .allocate(capacity: rowCount * Int(REF_ROW_WORDS))
        for index in rows.indices { rows[index] = UInt64(index) &* 0x9e37_79b9_7f4a_7c15 }
        areas = .allocate(capacity: snapshot.areas.count)
        for (index, area) in snapshot.areas.enumerated() {
            areas.initializeElement(
                at: index,
                to: ref_area(
                    first: area.range.first.rawValue, last: area.range.last.rawValue, offset: area.offset,
                    ioas: area.ioas.rawValue, backing: area.backing.rawValue,
                    protection: UInt16(area.protection.rawValue)))
        }
        sets = .allocate(capacity: snapshot.tablePages.count)
        for (index, owner) in snapshot.tablePages.enumerated() {
            let pages = UnsafeMutablePointer<ref_page>.allocate(capacity: owner.pages.count)
            for (number, entry) in owner.pages.entries.enumerated() {
                (pages + number).initialize(
                    to: ref_page(
                        address: entry.address.rawValue, start: entry.start, end: entry.end, level: entry.level))
            }
            let bytes = UnsafeMutablePointer<UInt8>.allocate(capacity: owner.pages.bytes.count)
            bytes.initialize(from: owner.pages.bytes, count: owner.pages.bytes.count)
            memory += [UnsafeMutableRawPointer(pages), UnsafeMutableRawPointer(bytes)]
            sets.initializeElement(
                at: index,
                to: ref_page_set(
                    pages: pages, count: owner.pages.count, bytes: bytes, owner: owner.domain.rawValue))
        }
        state = ref_state(
            rows: rows.baseAddress, row_count: rowCount, areas: areas.baseAddress, area_count: areas.count,
            sets: sets.baseAddress, set_count: sets.count)
    }

    deinit {
        rows.deallocate()
        areas.deallocate()
        sets.deallocate()
        for part in memory { part.deallocate() }
    }
}
