import Hardware
import IOMMUModel
import PageTables

/// VT-d's root table in either mode: from a requester to its context table (VT-d 9.1, 9.2).
struct VTDRootTable {
    private let unit: UnitHardware
    private let words: LookupMemory
    private let mode: VTDRootTableAddress.Mode

    init(_ unit: UnitHardware, words: LookupMemory, mode: VTDRootTableAddress.Mode) {
        self.unit = unit
        self.words = words
        self.mode = mode
    }

    /// What leads to one context table: a bus's entry, in scalable mode half of it.
    struct Slot {
        var address: PhysicalAddress
        /// As many as lead to one context table.
        var words: [UInt64]
        /// The context table, when the words lead to one in memory.
        var table: PhysicalAddress?
    }

    /// The first requester id of each slot, ascending.
    var firstRIDs: [UInt16] {
        stride(from: 0, through: UInt16.max, by: mode == .scalable ? 128 : 256).map(\.self)
    }

    var hardware: VTDUnitHardware {
        guard case .vtd(let hardware) = unit.hardware else { preconditionFailure("a VT-d unit") }
        return hardware
    }

    /// Gives the unit an empty root table and turns translation on.
    ///
    /// - Throws: `ENOMEM`.
    func setUp(arena: inout TableArena) throws(Errno) {
        guard let root = arena.allocate(memory: words.memory) else { throw .ENOMEM }
        var hardware = hardware
        hardware.registers.rootTableAddress = VTDRootTableAddress(mode: mode, rootTable: root)
        hardware.registers.globalStatus = VTDGlobalStatus(translationEnabled: true)
        unit.hardware = .vtd(hardware)
    }

    /// The slot of a requester; `nil` when the root table is not in memory.
    func slot(_ rid: UInt16) -> Slot? {
        guard let entry = VTDLookupIndex.rootEntry(rid, in: hardware.registers.rootTableAddress.rootTable) else {
            return nil
        }
        let address: PhysicalAddress
        let table: PhysicalAddress?
        let found: [UInt64]
        if mode == .scalable {
            address = entry.advanced(VTDLookupIndex.usesUpperScalableHalf(rid) ? 8 : 0)
            guard let word = words.memory.word(at: address) else { return nil }
            found = [word]
            let half = VTDScalableRootEntry.Half(word)
            let isUsable = half.isPresent && !half.hasViolation(hostAddressWidth: unit.hostAddressWidth)
            table = isUsable ? half.contextTable : nil
        } else {
            address = entry
            guard let both = words.words(2, at: address) else { return nil }
            found = both
            let root = VTDRootEntry(low: both[0], high: both[1])
            let isUsable = root.isPresent && !root.hasViolation(hostAddressWidth: unit.hostAddressWidth)
            table = isUsable ? root.contextTable : nil
        }
        let isInMemory = table.map { words.memory.page(at: $0) != nil } ?? false
        return Slot(address: address, words: found, table: isInMemory ? table : nil)
    }

    /// Makes `slot` lead to `table`.
    func publish(_ table: PhysicalAddress, in slot: Slot) {
        if mode == .scalable {
            words.publish([VTDScalableRootEntry.Half(contextTable: table).word], at: slot.address)
        } else {
            let entry = VTDRootEntry(contextTable: table)
            words.publish([entry.low, entry.high], at: slot.address)
        }
    }

    /// Takes the context table of a requester out of the root table and frees it once no entry is left in it.
    ///
    /// - Returns: whether it is gone.
    @discardableResult
    func dropIfEmpty(_ rid: UInt16, arena: inout TableArena) -> Bool {
        guard let slot = slot(rid), let table = slot.table, words.isEmpty(page: table) else { return false }
        words.withdraw(slot.words.count, at: slot.address)
        free([table], arena: &arena)
        return true
    }

    /// It is in memory.
    var isInMemory: Bool { words.memory.page(at: hardware.registers.rootTableAddress.rootTable) != nil }

    /// Takes every entry out; the tables stay.
    func clear() {
        for rid in firstRIDs {
            guard let slot = slot(rid), slot.words.contains(where: { $0 != 0 }) else { continue }
            words.withdraw(slot.words.count, at: slot.address)
        }
    }

    /// Takes out what leads to no table in memory, and what leads to a table without an entry.
    func dropLeftovers(arena: inout TableArena) {
        for rid in firstRIDs {
            guard let slot = slot(rid) else { continue }
            if slot.table != nil {
                dropIfEmpty(rid, arena: &arena)
            } else if slot.words.contains(where: { $0 != 0 }) {
                words.withdraw(slot.words.count, at: slot.address)
            }
        }
    }

    /// Frees pages that nothing leads to any more: a damaged structure may name one page twice.
    func free(_ pages: [PhysicalAddress], arena: inout TableArena) {
        let reached = Set(unit.hardware.listing(memory: words.memory).pages.map(\.address))
        for page in pages where !reached.contains(page) { arena.free(page) }
    }
}
