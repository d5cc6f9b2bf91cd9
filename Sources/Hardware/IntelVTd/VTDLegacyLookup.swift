import IOMMUModel
import PageTables

/// Everything that stands in one unit's legacy root and context tables, damaged entries included.
///
/// Where ``VTDUnitHardware`` answers for one requester, this lists them all. Bounded: 256 root entries, and each context
/// table is 256 entries.
public struct VTDLegacyLookup: Sendable {
    /// A root entry that is not zero.
    public struct RootEntry: Sendable, Hashable {
        /// The bus, index of the root table.
        public var bus: UInt8
        /// Of the entry's first word, 16-byte aligned.
        public var entryAddress: PhysicalAddress
        /// Both words, as read.
        public var entry: VTDRootEntry
        /// Reserved bits set in a present entry (the hardware faults with Ah), else empty.
        public var violations: [BitRange]
        /// Present, but its context table is not in memory.
        public var contextTableIsAbsent: Bool
    }

    /// A context entry that is not zero.
    public struct ContextEntry: Sendable, Hashable {
        /// Bus 15:8, device 7:3, function 2:0.
        public var rid: UInt16
        /// Of the entry's first word, 16-byte aligned.
        public var entryAddress: PhysicalAddress
        /// Both words, as read.
        public var entry: VTDContextEntry
        /// What the hardware makes of it: `nil` when it faults with ``fault``.
        public var translation: VTDContext.Translation?
        /// The fault of every request of this requester, from the root entry or from this one.
        public var fault: VTDFaultReason?
        /// Reserved bits set in a present entry, else empty.
        public var violations: [BitRange]
    }

    /// The root table, and whether it is in memory.
    public let rootTable: PhysicalAddress
    /// True when memory does not hold ``rootTable``: then nothing is listed, which does not mean that nothing is there.
    public let rootTableIsAbsent: Bool
    /// Ascending bus.
    public private(set) var roots: [RootEntry] = []
    /// Ascending requester id. Present or not.
    public private(set) var contexts: [ContextEntry] = []
    /// The context tables in memory, each once, ascending.
    public private(set) var contextTables: [PhysicalAddress] = []

    /// Reads the tables of `hardware`, whose RTADDR is taken as a legacy-mode root pointer whatever its TTM says.
    public init(_ hardware: VTDUnitHardware, memory: MemoryView) {
        rootTable = hardware.registers.rootTableAddress.rootTable
        let width = hardware.registers.hostAddressWidth
        guard let words = memory.page(at: rootTable) else {
            rootTableIsAbsent = true
            return
        }
        rootTableIsAbsent = false
        var tables = Set<PhysicalAddress>()
        for bus in 0..<256 {
            let root = VTDRootEntry(low: words[bus * 2], high: words[bus * 2 + 1])
            guard !root.isZero else { continue }
            let violations = root.isPresent ? root.violations(hostAddressWidth: width) : []
            let context = root.isPresent ? memory.page(at: root.contextTable) : nil
            roots.append(
                RootEntry(
                    bus: UInt8(bus), entryAddress: PhysicalAddress(rootTable.rawValue | UInt64(bus) << 4), entry: root,
                    violations: violations, contextTableIsAbsent: root.isPresent && context == nil))
            guard let context else { continue }
            tables.insert(root.contextTable)
            addContexts(
                of: UInt8(bus), table: root.contextTable, words: context, hardware: hardware,
                rootFaults: !violations.isEmpty)
        }
        contextTables = tables.sorted()
    }

    private mutating func addContexts(
        of bus: UInt8, table: PhysicalAddress, words: UnsafeMutablePointer<UInt64>, hardware: VTDUnitHardware,
        rootFaults: Bool
    ) {
        for devfn in 0..<256 {
            let entry = VTDContextEntry(low: words[devfn * 2], high: words[devfn * 2 + 1])
            guard !entry.isZero else { continue }
            var found = ContextEntry(
                rid: UInt16(bus) << 8 | UInt16(devfn),
                entryAddress: PhysicalAddress(table.rawValue | UInt64(devfn) << 4), entry: entry, translation: nil,
                fault: nil, violations: [])
            if entry.isPresent {
                found.violations = entry.violations(hostAddressWidth: hardware.registers.hostAddressWidth)
            }
            do throws(VTDFaultReason) {
                if rootFaults { throw VTDFaultReason.rootReserved }
                found.translation = try hardware.interpret(entry)
            } catch {
                found.fault = error
            }
            contexts.append(found)
        }
    }
}
