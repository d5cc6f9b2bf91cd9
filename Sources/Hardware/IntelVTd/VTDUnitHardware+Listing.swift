import IOMMUModel
import PageTables

extension VTDUnitHardware {
    /// Everything that stands in the root, context and PASID structures, damaged entries included.
    ///
    /// * Every device with a present context entry has an untagged entry, in scalable mode that of RID_PASID, even
    ///   where its PASID-table entry is missing: then the resolution says so.
    /// * Every other PASID with a present PASID-table entry inside the directory (PDTS) is listed with what that entry
    ///   means, also where the device may not use PASIDs (PASIDE is 0, or more bits than ECAP.PSS).
    ///   ``resolve(_:pasid:memory:)`` answers for the hardware, which refuses such requests.
    /// * Rules about RTADDR and GSTS themselves are not checked here. In a mode that the unit does not read (TTM 2 or
    ///   3, or 1 without ECAP.SMTS) nothing is listed.
    ///
    /// A shared directory or table is read once per use. Bounded: 256 root entries, 65,536 context entries or those of
    /// `budget`, and for the PASID structures at most ``listedPageUses`` page uses and ``listedPASIDs`` PASIDs in all; at
    /// the bound the list ends with a `table-budget-exceeded` defect. A defect of a PASID structure's word is told once,
    /// at its first use.
    public func listing(memory: MemoryView, budget: LookupBudget = LookupBudget()) -> LookupListing {
        var bounds = budget
        bounds.pageUses = min(budget.pageUses, Self.listedPageUses)
        bounds.pasids = min(budget.pasids, Self.listedPASIDs)
        var reader = VTDListing(self, memory: memory, budget: bounds)
        switch registers.rootTableAddress.mode {
        case .legacy: reader.readLegacy()
        case .scalable where registers.extendedCapability.scalableMode: reader.readScalable()
        case .scalable, .reserved, .abortDMA: break
        }
        return reader.finish()
    }

    /// The most PASID directory and table pages that a listing looks at, every use of a page counted, absent ones too.
    public static let listedPageUses = 1 << 20
    /// The most PASIDs that a listing has, untagged entries not counted.
    public static let listedPASIDs = 1 << 19
}

/// One listing in the making.
struct VTDListing {
    let unit: VTDUnitHardware
    let memory: MemoryView
    let reserved: VTDReservedBits
    var listing: LookupListing
    private var left: LookupBudget
    /// The budget is spent: nothing more is read.
    var isExhausted = false
    private var pages = Set<LookupListing.Page>()
    private var users: [PhysicalAddress: User] = [:]
    /// The PASID tables whose entries were looked at for defects.
    var checkedTables = Set<PhysicalAddress>()
    /// Defects of words that several devices share: told once.
    private var told = Set<Told>()

    /// What first led to a page.
    private struct User: Equatable {
        var kind: LookupListing.Page.Kind
        /// Of the word that points to it; of a directory page: the directory.
        var from: PhysicalAddress
    }

    private struct Told: Hashable {
        var rule: RuleID
        var address: PhysicalAddress
    }

    init(_ unit: VTDUnitHardware, memory: MemoryView, budget: LookupBudget) {
        self.unit = unit
        self.memory = memory
        left = budget
        reserved = VTDReservedBits(unit.registers)
        listing = LookupListing(root: unit.registers.rootTableAddress.rootTable)
    }

    var hostAddressWidth: Int { unit.registers.hostAddressWidth }

    mutating func finish() -> LookupListing {
        listing.pages = pages.sorted()
        return listing
    }

    /// The words of the root table, or `nil` after having noted that it is absent.
    mutating func rootWords() -> UnsafeMutablePointer<UInt64>? {
        guard let words = memory.page(at: listing.root) else {
            listing.rootIsAbsent = true
            return nil
        }
        note(listing.root, .vtdRoot)
        return words
    }

    /// Adds a page that is in memory.
    mutating func note(_ page: PhysicalAddress, _ kind: LookupListing.Page.Kind) {
        pages.insert(LookupListing.Page(address: page, kind: kind))
    }

    /// Tells when something else has led to `page` before, as `kind` or as another; `from` as ``User/from``.
    mutating func use(
        _ page: PhysicalAddress, _ kind: LookupListing.Page.Kind, from: PhysicalAddress, at address: PhysicalAddress,
        rid: UInt16, _ what: String
    ) {
        let user = User(kind: kind, from: from)
        guard let other = users.updateValue(user, forKey: page), other != user else { return }
        users[page] = other
        let before = other.kind == kind ? "is led to by the entry at \(other.from) too" : "is a \(other.kind.words) too"
        report(.tableReused, at: address, rid: rid, "\(what) \(page) \(before)", once: true)
    }

    mutating func report(
        _ rule: RuleID, severity: Severity? = nil, at address: PhysicalAddress, rid: UInt16, pasid: PASID? = nil,
        absentPage: PhysicalAddress? = nil, _ message: @autoclosure () -> String, once: Bool = false
    ) {
        if once, !told.insert(Told(rule: rule, address: address)).inserted { return }
        listing.defects.append(
            LookupDefect(
                rule, severity: severity, at: address, rid: rid, pasid: pasid, absentPage: absentPage, message()))
    }

    /// Tells of reserved bits: an error in a present entry, a warning in another.
    mutating func reportReserved(
        _ rule: RuleID, _ violations: [BitRange], isPresent: Bool, entry: PhysicalAddress, rid: UInt16,
        pasid: PASID? = nil, _ what: @autoclosure () -> String, once: Bool = false
    ) {
        guard let word = violations.map(\.word).min() else { return }
        report(
            rule, severity: isPresent ? nil : .warning, at: Self.word(word, of: entry), rid: rid, pasid: pasid,
            "\(what()) has reserved bits set: \(violations.map(\.description).joined(separator: ", "))"
                + (isPresent ? "" : " (not present)"), once: once)
    }

    /// Tells of an entry that is not present, yet not empty; FPD of word 0 does not count where `ignoresFPD`.
    mutating func reportNotPresent(
        _ rule: RuleID, _ words: [UInt64], ignoresFPD: Bool, entry: PhysicalAddress, rid: UInt16, pasid: PASID? = nil,
        _ what: @autoclosure () -> String, once: Bool = false
    ) {
        var counting = words
        if ignoresFPD { counting[0] &= ~2 }
        guard let word = counting.firstIndex(where: { $0 != 0 }) else { return }
        report(
            rule, severity: .warning, at: Self.word(word, of: entry), rid: rid, pasid: pasid,
            "\(what()) is not present, yet not zero: \(words.map { hex($0) }.joined(separator: " "))",
            once: once)
    }

    /// Counts one present context entry; false (told once) when none is left.
    mutating func takeDevice(at address: PhysicalAddress, rid: UInt16) -> Bool {
        take(\.devices, at: address, rid: rid, "devices")
    }

    /// Counts the use of one page; false (told once) when none is left.
    mutating func takePage(at address: PhysicalAddress, rid: UInt16) -> Bool {
        take(\.pageUses, at: address, rid: rid, "page uses")
    }

    /// Counts one PASID; false (told once) when none is left.
    mutating func takePASID(at address: PhysicalAddress, rid: UInt16) -> Bool {
        take(\.pasids, at: address, rid: rid, "PASIDs")
    }

    private mutating func take(
        _ budget: WritableKeyPath<LookupBudget, Int>, at address: PhysicalAddress, rid: UInt16, _ what: String
    ) -> Bool {
        guard left[keyPath: budget] == 0 else {
            left[keyPath: budget] -= 1
            return true
        }
        if !isExhausted {
            isExhausted = true
            report(
                .tableBudgetExceeded, at: address, rid: rid,
                "the lookup structures have too many \(what) to be listed: what follows is not read")
        }
        return false
    }

    /// Address of word `index` of the entry at `address`.
    static func word(_ index: Int, of address: PhysicalAddress) -> PhysicalAddress {
        PhysicalAddress(address.rawValue &+ UInt64(index) &* 8)
    }

    static func bus(_ bus: Int) -> String { hex(UInt64(bus), digits: 2) }
}

extension LookupListing.Page.Kind {
    fileprivate var words: String {
        switch self {
        case .vtdRoot: "root table"
        case .vtdContext, .vtdScalableContext: "context table"
        case .vtdPASIDDirectory: "PASID directory page"
        case .vtdPASIDTable: "PASID table"
        default: "table of another vendor"
        }
    }
}
