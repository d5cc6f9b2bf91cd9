import IOMMUModel
import PageTables

/// Lists the PASIDs of GCR3 tables. Tables that several devices or entries share are decoded once.
struct AMDGCR3Reader {
    let hardware: AMDUnitHardware
    let memory: MemoryView
    /// GCR3 tables at addresses of the host.
    private(set) var pages = Set<LookupListing.Page>()
    private var nodes: [Key: Node] = [:]
    private var listed = 0
    /// Words of tables that have a defect told: a page may be a table at several levels, and of several guests.
    private var told = Set<PhysicalAddress>()
    private var isExhausted = false

    private let pageLimit: Int
    private let pasidLimit: Int

    init(hardware: AMDUnitHardware, memory: MemoryView, budget: LookupBudget) {
        self.hardware = hardware
        self.memory = memory
        pageLimit = min(budget.pageUses, AMDUnitHardware.gcr3PageLimit)
        pasidLimit = min(budget.pasids, AMDUnitHardware.pasidLimit)
    }

    /// What a table's content depends on.
    private struct Key: Hashable {
        /// As the entry above has it.
        var pointer: PhysicalAddress
        /// 1 to 3.
        var level: Int
        /// The tables that translate ``pointer``; `nil`: an address of the host.
        var host: TranslationStage?
    }

    /// A decoded table.
    private struct Node {
        /// Of the host.
        var page = PhysicalAddress(0)
        /// The valid entries, ascending. A table of level 1: each stands for a PASID; above: those that lead to one.
        var entries: [(index: Int, entry: AMDGCR3Entry)] = []
    }

    /// Adds the PASIDs of `device` to `listing`, ascending.
    mutating func list(
        _ device: AMDDevice, _ guest: AMDDevice.Guest, rid: UInt16, into listing: inout LookupListing
    ) {
        let root = decode(guest.root, level: guest.levels, prefix: 0, device, guest, rid: rid, into: &listing)
        var isBeyondWidth = false
        add(root, level: guest.levels, prefix: 0, device, guest, rid: rid, &isBeyondWidth, into: &listing)
        if isBeyondWidth {
            listing.defects.append(
                LookupDefect(
                    .amdDTEGuest, severity: .warning, at: device.address, rid: rid,
                    "the GCR3 table has PASIDs of more than the unit's \(hardware.registers.features?.pasidBits ?? 0) bits"
                ))
        }
    }

    private mutating func add(
        _ node: Node, level: Int, prefix: UInt32, _ device: AMDDevice, _ guest: AMDDevice.Guest, rid: UInt16,
        _ isBeyondWidth: inout Bool, into listing: inout LookupListing
    ) {
        for (index, entry) in node.entries {
            guard let pasid = Self.pasid(prefix, index, level) else { return }
            guard listed < pasidLimit else {
                exhaust("more than \(pasidLimit) PASIDs", device, rid: rid, into: &listing)
                return
            }
            if level > 1 {
                guard let below = nodes[key(hardware.pointer(entry, guest), level: level - 1, device, guest)] else {
                    continue
                }
                add(
                    below, level: level - 1, prefix: pasid.rawValue, device, guest, rid: rid, &isBeyondWidth,
                    into: &listing)
                continue
            }
            // PASID 0 stands for the untagged requests, which are listed already.
            if pasid.rawValue == 0, device.entry.guestIOProtection { continue }
            listed += 1
            if !hardware.isInWidth(pasid) { isBeyondWidth = true }
            let address = PhysicalAddress(node.page.rawValue | UInt64(index) << 3)
            listing.entries.append(
                .init(
                    rid: rid, pasid: pasid, entryAddress: address, deviceEntryAddress: device.address,
                    resolution: hardware.resolution(device, guest, pasid: pasid, entry, at: address)))
        }
    }

    /// The table at `pointer` with all below it; what is wrong in it is reported when it is met first.
    private mutating func decode(
        _ pointer: PhysicalAddress, level: Int, prefix: UInt32, _ device: AMDDevice, _ guest: AMDDevice.Guest,
        rid: UInt16, from source: PhysicalAddress? = nil, into listing: inout LookupListing
    ) -> Node {
        let key = key(pointer, level: level, device, guest)
        if let known = nodes[key] { return known }
        guard nodes.count < pageLimit else {
            exhaust("more than \(pageLimit) GCR3 tables", device, rid: rid, into: &listing)
            return Node()
        }
        var node = Node()
        switch hardware.place(pointer, device, guest, memory: memory) {
        case .fault:
            listing.defects.append(
                LookupDefect(
                    .amdGCR3Unreachable, at: source ?? device.address, rid: rid,
                    "the host's tables do not translate GCR3 table \(pointer) of the guest"))
        case .absent(let page):
            listing.defects.append(
                LookupDefect(
                    .amdGCR3Unreachable, at: source ?? device.address, rid: rid, absentPage: page,
                    "GCR3 table \(pointer): page \(page) is not in memory"))
        case .page(let page, let words):
            node.page = page
            if !guest.isGuestAddressed, let kind = Self.kind(level) {
                pages.insert(.init(address: page, kind: kind))
            }
            for index in 0..<512 {
                guard let pasid = Self.pasid(prefix, index, level) else { break }
                let entry = AMDGCR3Entry(rawValue: words[index])
                let address = PhysicalAddress(page.rawValue | UInt64(index) << 3)
                guard entry.isValid, !entry.hasViolation else {
                    report(entry, pasid: level == 1 ? pasid : nil, rid: rid, at: address, into: &listing)
                    if entry.isValid, level == 1 { node.entries.append((index, entry)) }
                    continue
                }
                if level > 1 {
                    let below = decode(
                        hardware.pointer(entry, guest), level: level - 1, prefix: pasid.rawValue, device, guest,
                        rid: rid, from: address, into: &listing)
                    if below.entries.isEmpty { continue }
                }
                node.entries.append((index, entry))
            }
        }
        nodes[key] = node
        return node
    }

    private mutating func report(
        _ entry: AMDGCR3Entry, pasid: PASID?, rid: UInt16, at address: PhysicalAddress,
        into listing: inout LookupListing
    ) {
        guard entry.rawValue != 0, told.insert(address).inserted else { return }
        let bits = entry.violations.map(\.description).joined(separator: ", ")
        listing.defects.append(
            LookupDefect(
                .amdGCR3Reserved, severity: entry.isValid ? nil : .warning, at: address, rid: rid, pasid: pasid,
                entry.isValid ? "reserved bits \(bits) are set" : "V is 0 but the entry is not empty"))
    }

    private mutating func exhaust(
        _ what: String, _ device: AMDDevice, rid: UInt16, into listing: inout LookupListing
    ) {
        guard !isExhausted else { return }
        isExhausted = true
        listing.defects.append(
            LookupDefect(
                .tableBudgetExceeded, at: device.address, rid: rid, "\(what): not all are listed from here on"))
    }

    private func key(
        _ pointer: PhysicalAddress, level: Int, _ device: AMDDevice, _ guest: AMDDevice.Guest
    ) -> Key {
        Key(pointer: pointer, level: level, host: guest.isGuestAddressed ? device.host : nil)
    }

    /// The first PASID under entry `index` of a table of `level` that begins at `prefix`; `nil` past the last one.
    private static func pasid(_ prefix: UInt32, _ index: Int, _ level: Int) -> PASID? {
        PASID(prefix | UInt32(truncatingIfNeeded: index) << UInt32(9 * (level - 1)))
    }

    private static func kind(_ level: Int) -> LookupListing.Page.Kind? {
        switch level {
        case 1: .amdGCR3Level1
        case 2: .amdGCR3Level2
        case 3: .amdGCR3Level3
        default: nil
        }
    }
}
