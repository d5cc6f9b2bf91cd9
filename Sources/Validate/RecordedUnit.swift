import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// One recorded unit with what its registers and recorded pages say.
public struct RecordedUnit: Sendable {
    /// As in the snapshot.
    public let record: UnitRecord
    /// `nil` when the unit is not a VT-d one or a register that it needs is not recorded.
    public let hardware: VTDUnitHardware?
    /// Everything in its root and context tables; `nil` unless it translates in legacy mode.
    public let lookup: VTDLegacyLookup?
    /// The register that is needed and not recorded.
    let missingRegister: String?

    init(_ record: UnitRecord, memory: MemoryView) {
        self.record = record
        guard record.kind == .intelVTd else {
            hardware = nil
            lookup = nil
            missingRegister = nil
            return
        }
        do {
            let registers = try VTDRegisters(hostAddressWidth: Int(record.hostAddressWidth)) { record[register: $0] }
            let hardware = VTDUnitHardware(registers: registers)
            self.hardware = hardware
            lookup = registers.rootTableAddress.mode == .legacy ? VTDLegacyLookup(hardware, memory: memory) : nil
            missingRegister = nil
        } catch {
            hardware = nil
            lookup = nil
            missingRegister = error.name
        }
    }

    /// True when requests go through the lookup tables at all.
    var translates: Bool {
        guard let registers = hardware?.registers else { return false }
        return registers.globalStatus.translationEnabled && registers.rootTableAddress.mode == .legacy
    }

    func requester(_ rid: UInt16) -> RequesterID { RequesterID(segment: record.segment, rid: rid) }

    /// The context entry of `rid`, unless it is zero or its tables are not recorded.
    func context(_ rid: UInt16) -> VTDLegacyLookup.ContextEntry? {
        guard let contexts = lookup?.contexts else { return nil }
        var low = 0
        var high = contexts.count
        while low < high {
            let middle = (low + high) / 2
            if contexts[middle].rid < rid { low = middle + 1 } else { high = middle }
        }
        return low < contexts.count && contexts[low].rid == rid ? contexts[low] : nil
    }

    /// The root entry of `bus`, unless it is zero or the root table is not recorded.
    func root(_ bus: UInt8) -> VTDLegacyLookup.RootEntry? { lookup?.roots.first { $0.bus == bus } }

    /// The configuration of recorded tables whose root is at `topLevel`; `nil` when the unit has no such width.
    func configuration(topLevel: UInt8) -> PageTableConfiguration? {
        VTDAddressWidth(topLevel: Int(topLevel)).flatMap { hardware?.configuration(width: $0) }
    }
}
