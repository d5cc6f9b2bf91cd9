import Hardware
import IOMMUModel
import PageTables

/// The kernel side of a running machine: who may do what with which device, and the tables that say so to the hardware.
///
/// Every operation answers with iommufd's errno and appends one event, also when it fails. The engine is the only
/// writer of lookup structures and page tables; it changes an entry, then invalidates, as a driver does. It leaves by
/// ``freeze()`` only.
public struct LiveEngine: ~Copyable {
    /// The hardware side, which outlives the engine; shared, not copied.
    public let machine: Machine
    /// What it was started with.
    public let configuration: EngineConfiguration
    /// The engine's random numbers; the state is part of what is recorded.
    public var random: SplitMix64

    var journal: EventJournal
    var arena: TableArena
    var unitTable: [UnitID: UnitState] = [:]
    var groupTable = TrackedTable<GroupID, Group>()
    var backingTable = TrackedTable<BackingID, Backing>()
    var ioasTable = TrackedTable<IOASID, IOAS>()
    var hwptTable = TrackedTable<HWPTID, HWPT>()
    var domainTable = TrackedTable<DomainID, Domain>()
    var sessionTable = TrackedTable<SessionID, Session>()
    var attachmentTable = TrackedTable<AttachmentKey, Attachment>()
    /// The PASIDs of each device that has any, ascending.
    var pasidTable: [RequesterID: [PASID]] = [:]
    /// Two sessions were there at once: which one a device is in has to be recorded.
    public internal(set) var hasHadSeveralSessions = false
    /// The last id given out, over all kinds: ids are never used again.
    var lastID: UInt32 = 0
    /// Whose lookup entry was there before this engine and could not be attached; left as they are.
    var strayEntries: Set<AttachmentKey> = []
    /// Frames of a former kernel's tables, taken at the take-over: what of them no domain owns stays taken.
    var heldFrames: [PhysicalRange] = []

    /// Who is told what changes in the tables above.
    var changeRecipient: ChangeRecipient?

    /// Which inherited domains the tree of each HWPT was compared with and found equal to, until one of both changes.
    var verifiedDomains: [HWPTID: Set<DomainID>] = [:]
    /// Devices whose VFIO file a user has open; of those that came over, once it is claimed.
    var openDevices: Set<RequesterID> = []

    /// Inherited domains whose last user left in the operation under way.
    var retiredDomains: [DomainID] = []

    let blockedDomain: DomainID
    let identityDomain: DomainID

    /// What the engine knows of one unit's lookup structures.
    ///
    /// The structures themselves are read off memory (``LookupTables``).
    struct UnitState {
        var tags: CacheTagAllocator
        /// Whose each tag in use is; a tag that was only reserved has no owner yet. Several share one where the PASID is
        /// part of the key.
        var tagOwners: [UInt32: Set<DomainID>] = [:]
        /// AMD: the tags of devices with guest tables.
        var deviceTags: [RequesterID: UInt32] = [:]
    }

    /// All but the units: every device blocked in the books, nothing written to memory.
    ///
    /// - Throws: `EFAULT` when the arena's frames are not in memory; ``Machine`` checks that they are.
    init(bare machine: Machine, configuration: EngineConfiguration, sink: @escaping EventSink) throws(Errno) {
        self.machine = machine
        self.configuration = configuration
        random = SplitMix64(seed: configuration.seed)
        journal = EventJournal(
            sequence: configuration.lastSequence, timeNanoseconds: configuration.startNanoseconds, sink: sink)
        do {
            arena = try TableArena(ranges: machine.arenaRanges, memory: machine.memory.view)
        } catch {
            throw .EFAULT
        }
        blockedDomain = DomainID(1)
        identityDomain = DomainID(2)
        lastID = 2
        domainTable[blockedDomain] = Domain(id: blockedDomain, kind: .blocked, holder: .core)
        domainTable[identityDomain] = Domain(id: identityDomain, kind: .identity, holder: .core)
        for (id, members) in Dictionary(grouping: machine.devices, by: \.group) {
            groupTable[id] = Group(id: id, members: members.map(\.requester))
        }
        let keys = machine.devices.map { AttachmentKey($0.requester) }
        attachmentTable.reserveCapacity(keys.count)
        for key in keys { attachmentTable[key] = Attachment(key: key, domain: blockedDomain, state: .live) }
        domainTable[blockedDomain]!.users = Set(keys)
    }

    /// Starts on a machine whose units no one has set up: takes a root table for each from the arena, turns translation
    /// on and attaches every device to the default domain.
    ///
    /// - Throws: `ENOMEM` when the arena has no frames, `EOPNOTSUPP` when a device needs pass-through and its unit has
    ///   none (VT-d: ECAP.PT).
    public static func start(
        _ machine: Machine, configuration: EngineConfiguration = .init(), sink: @escaping EventSink
    ) throws(Errno) -> LiveEngine {
        var engine = try LiveEngine(bare: machine, configuration: configuration, sink: sink)
        try engine.setUpUnits()
        return engine
    }

    private mutating func setUpUnits() throws(Errno) {
        journal.append(.start, "start", startArguments)
        for unit in machine.units { try setUp(unit) }
        for device in machine.devices { try attachDefault(device.requester) }
    }

    /// What the first event says: with the machine, all that an engine starts from.
    var startArguments: [Event.Argument] {
        [
            .init("devices", machine.devices.count), .init("seed", hex(configuration.seed)),
            .init("default", configuration.defaultDomain.rawValue),
        ]
    }

    /// Gives `unit` an empty root structure from the arena and turns translation on: every device behind it is blocked.
    mutating func setUp(_ unit: UnitHardware) throws(Errno) {
        let devices = machine.devices.filter { $0.unit == unit.id }
        try unit.freshLookupTables(memory: machine.memory.view).setUp(devices: devices, arena: &arena)
        unitTable[unit.id] = UnitState(tags: Self.tagAllocator(unit))
        unit.invalidateAll()
    }

    static func tagAllocator(_ unit: UnitHardware) -> CacheTagAllocator {
        switch unit.hardware {
        case .vtd(let hardware):
            CacheTagAllocator(capacity: 1 << UInt32(hardware.registers.capability.domainIDBits))
        // A DomainID has 16 bits; 0 stands in the entries that block.
        case .amd: CacheTagAllocator(capacity: 1 << 16)
        case .smmu(let hardware): CacheTagAllocator(capacity: 1 << UInt32(hardware.registers.vmidBits))
        }
    }

    mutating func newID() -> UInt32 {
        lastID += 1
        return lastID
    }

    /// Engine time: a counter that every event advances.
    public var timeNanoseconds: UInt64 { journal.timeNanoseconds }

    /// The sequence number of the last event.
    public var lastSequence: UInt64 { journal.sequence }

    /// Lets engine time pass.
    public mutating func advanceTime(byNanoseconds nanoseconds: UInt64) { journal.timeNanoseconds += nanoseconds }

    /// Appends an event that is not an operation of the engine: a phase, a verdict.
    public mutating func note(
        _ kind: Event.Kind, _ name: String, _ arguments: [Event.Argument] = [], errno: Errno? = nil
    ) {
        journal.append(kind, name, arguments, errno: errno)
    }
}
