import IOMMUModel
import PageTables

/// One tree of page tables with the names that its findings carry.
struct TableTarget {
    /// `nil` when a lookup entry points to tables of no recorded domain.
    var domain: DomainID?
    var unit: UnitID
    var configuration: PageTableConfiguration
    /// 4 KiB aligned.
    var root: PhysicalAddress
    /// The word that points to the root, when there is one.
    var pointerAddress: PhysicalAddress?
    /// The word that says how many levels the tables have, when there is one, and the rule about that number.
    var levels: (address: PhysicalAddress, rule: RuleID)?
    /// The lowest device that translates through it.
    var device: RequesterID?
    var pasid: PASID?

    /// What is the same for every unit and entry that leads to these tables.
    struct Shape: Hashable {
        var root: PhysicalAddress
        var format: PageTableFormatKind
        var topLevel: Int
    }

    var shape: Shape { Shape(root: root, format: configuration.format, topLevel: configuration.topLevel) }

    func finding(
        _ rule: RuleID, severity: Severity? = nil, address: PhysicalAddress? = nil, iova: IOVA? = nil,
        _ message: String
    ) -> Finding {
        let owner = device == nil ? domain.map { "domain \($0): " } ?? "" : ""
        return Finding(
            rule, severity: severity, device: device, pasid: pasid, address: address, iova: iova, owner + message)
    }

    /// The entry that decides about `iova`: where a walk ends. `nil` when the root is absent or `iova` too wide.
    func decidingEntry(_ iova: IOVA, memory: MemoryView) -> PhysicalAddress? {
        Walker.trace(configuration, root: root, memory: memory, iova: iova, access: .read).steps.last?.entryAddress
    }
}
