import IOMMUModel

/// Everything that stands in one unit's lookup structures, damaged entries included.
///
/// Where ``IOMMUHardware/resolve(_:pasid:memory:)`` answers for one requester, this lists them all. Bounded by the
/// structures' own size; a page is read once however many entries point to it.
public struct LookupListing: Sendable, Hashable {
    /// One requester and PASID that the structures speak of.
    public struct Entry: Sendable, Hashable {
        /// Bus 15:8, device 7:3, function 2:0.
        public var rid: UInt16
        /// `nil`: untagged.
        public var pasid: PASID?
        /// Of the first word of the entry that decides (as ``RequestContext/entryAddress``).
        public var entryAddress: PhysicalAddress
        /// As ``RequestContext/deviceEntryAddress``.
        public var deviceEntryAddress: PhysicalAddress
        /// What the hardware makes of it.
        public var resolution: Resolution

        /// All as given; nothing is checked.
        public init(
            rid: UInt16, pasid: PASID?, entryAddress: PhysicalAddress, deviceEntryAddress: PhysicalAddress,
            resolution: Resolution
        ) {
            self.rid = rid
            self.pasid = pasid
            self.entryAddress = entryAddress
            self.deviceEntryAddress = deviceEntryAddress
            self.resolution = resolution
        }
    }

    /// A page of a lookup structure that is in memory.
    public struct Page: Sendable, SmallKey, Comparable {
        /// 4 KiB aligned.
        public var address: PhysicalAddress
        /// What the page is.
        public var kind: Kind

        /// The structures of all vendors. Raw values are those of a snapshot's ``Snapshot/LookupLevel``.
        public enum Kind: UInt8, Sendable, Hashable, CaseIterable {
            /// VT-d: the root table, of either mode.
            case vtdRoot = 0x20
            /// VT-d: a legacy-mode context table.
            case vtdContext = 0x21
            /// VT-d: half a bus's scalable-mode context entries.
            case vtdScalableContext = 0x22
            /// VT-d: a page of a PASID directory.
            case vtdPASIDDirectory = 0x23
            /// VT-d: a PASID table.
            case vtdPASIDTable = 0x24
            /// AMD: a page of the device table.
            case amdDeviceTable = 0x30
            /// AMD: a GCR3 table whose entries are guest CR3s.
            case amdGCR3Level1 = 0x31
            /// AMD: a GCR3 table whose entries point to tables of level 1.
            case amdGCR3Level2 = 0x32
            /// AMD: a GCR3 table whose entries point to tables of level 2.
            case amdGCR3Level3 = 0x33
            /// SMMUv3: a page of stream table entries.
            case smmuStreamTable = 0x40
            /// SMMUv3: a page of level 1 descriptors.
            case smmuStreamTableLevel1 = 0x41
        }

        /// Both as given; nothing is checked.
        public init(address: PhysicalAddress, kind: Kind) {
            self.address = address
            self.kind = kind
        }

        /// Address and kind: the address's low bits are zero.
        @inlinable public var hashWord: UInt64 { address.rawValue ^ UInt64(kind.rawValue) }

        /// By address, then kind.
        public static func < (a: Page, b: Page) -> Bool {
            (a.address, a.kind.rawValue) < (b.address, b.kind.rawValue)
        }
    }

    /// By requester id, then PASID, untagged first. One per requester and PASID whose entry is not empty: not those that
    /// the hardware blocks on purpose (AMD: V = TV = 1, mode 0, IR = IW = 0), nor those of a device whose device-level
    /// entry is not present. An entry that the hardware refuses is listed with its fault.
    public var entries: [Entry] = []
    /// What is wrong or suspicious, in the order of reading.
    public var defects: [LookupDefect] = []
    /// The pages in memory, each (address, kind) once, ascending.
    public var pages: [Page] = []
    /// The root structure (VT-d: root table; AMD: first page of the device table; SMMUv3: first page of the
    /// stream table).
    public var root: PhysicalAddress
    /// True when memory does not hold ``root``: then nothing is listed, which does not mean that nothing is there.
    public var rootIsAbsent = false

    /// Nothing listed yet.
    public init(root: PhysicalAddress) { self.root = root }

    /// Where in ``entries`` the requester and PASID stand, or `nil`. O(1) when that is at `guess`, otherwise O(log n).
    public func index(of rid: UInt16, pasid: PASID?, guess: Int = 0) -> Int? {
        func isBelow(_ entry: Entry) -> Bool {
            entry.rid != rid ? entry.rid < rid : PASID?.precedes(entry.pasid, pasid)
        }
        func isIt(_ index: Int) -> Bool {
            entries.indices.contains(index) && entries[index].rid == rid && entries[index].pasid == pasid
        }
        if isIt(guess) { return guess }
        var (low, high) = (0, entries.count)
        while low < high {
            let middle = (low + high) / 2
            if isBelow(entries[middle]) { low = middle + 1 } else { high = middle }
        }
        return isIt(low) ? low : nil
    }
}

/// Something wrong, or suspicious, in one word of a lookup structure.
public struct LookupDefect: Sendable, Hashable {
    /// The broken rule.
    public var rule: RuleID
    /// Less than the rule's own weight, or `nil` for that.
    public var severity: Severity?
    /// Of the 64-bit word at fault, 8-byte aligned; `nil`: a register.
    public var address: PhysicalAddress?
    /// Whose requests it decides about; `nil`: no single requester's. Of a whole bus: its device 0, function 0.
    public var rid: UInt16?
    /// `nil`: untagged, or all of the requester.
    public var pasid: PASID?
    /// A page that is not in memory: the rule is `lookup-page-unknown`, or the one for pointers outside memory, as
    /// whoever knows the machine's memory decides. `nil`: the defect is another.
    public var absentPage: PhysicalAddress?
    /// One line.
    public var message: String

    /// All as given; nothing is checked.
    public init(
        _ rule: RuleID, severity: Severity? = nil, at address: PhysicalAddress?, rid: UInt16? = nil,
        pasid: PASID? = nil, absentPage: PhysicalAddress? = nil, _ message: String
    ) {
        self.rule = rule
        self.severity = severity
        self.address = address
        self.rid = rid
        self.pasid = pasid
        self.absentPage = absentPage
        self.message = message
    }
}
