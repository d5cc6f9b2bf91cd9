import Hardware
import IOMMUModel
import PageTables

/// How one unit was made to refuse all DMA, or would be.
public enum UnitAbort: Sendable, Hashable {
    /// By its own registers, whatever memory holds (``IOMMUHardware/abortingAll``).
    case registers
    /// By the table that its root register names: every entry of it was made to refuse.
    case rootTable
}

/// Why not all DMA of a machine can be stopped.
public struct AbortObstacle: Error, Sendable, Hashable, CustomStringConvertible {
    /// What is in the way.
    public enum Reason: Sendable, Hashable {
        /// The unit has no state in which it aborts everything, and it translates nothing now.
        case notTranslating
        /// Nor is the table at its root register in memory, all of it; or it is one of several (AMD's segments).
        case rootNotInMemory
        /// DMA of this device into a `direct` region must not stop (lifecycle.md, "not blockable").
        case notBlockable(RequesterID)
    }
    /// The unit in question.
    public var unit: UnitID
    /// What is in its way.
    public var reason: Reason

    /// One line.
    public var description: String {
        switch reason {
        case .notTranslating: "unit \(unit) translates nothing and has no state that aborts all DMA"
        case .rootNotInMemory:
            "unit \(unit) has no state that aborts all DMA, and its root table is not all in memory at one register"
        case .notBlockable(let device): "unit \(unit) serves \(device), which must not be blocked"
        }
    }
}

extension Machine {
    /// Makes every unit refuse all DMA of all devices, known or not, from here on: what is left to do when no record can be
    /// believed. Nothing but the units' registers is relied upon, and no memory is taken. All units or, on an error, none.
    ///
    /// A unit that cannot be told to abort (AMD-Vi; VT-d without ECAP.ADMS) has every entry of the table at its root register
    /// changed in place, VT-d's to not present, AMD's to valid without rights: the unit reads it, so no one else's it is.
    /// What a unit lets pass without looking at any table stays so: AMD's exclusion range, which is not modelled.
    /// O(devices x units + entries of these tables).
    ///
    /// - Returns: how, by unit.
    /// - Throws: what stands in the way.
    public func abortAll() throws(AbortObstacle) -> [(unit: UnitID, how: UnitAbort)] {
        var found: [(unit: UnitHardware, how: UnitAbort)] = []
        for unit in units {
            if let device = devices.first(where: { $0.unit == unit.id && !isBlockable($0.group) }) {
                throw AbortObstacle(unit: unit.id, reason: .notBlockable(device.requester))
            }
            // In VT-d's other modes, abort-DMA and the reserved one, nothing is let through.
            let refusesAll = unit.hardware.translationEnabled && !unit.hardware.readsTables
            if refusesAll || unit.hardware.abortingAll != nil {
                found.append((unit, .registers))
                continue
            }
            guard unit.hardware.readsTables else { throw AbortObstacle(unit: unit.id, reason: .notTranslating) }
            guard unit.lookupTables(memory: memory.view).holdsRoot else {
                throw AbortObstacle(unit: unit.id, reason: .rootNotInMemory)
            }
            found.append((unit, .rootTable))
        }
        for (unit, how) in found {
            switch how {
            case .registers: if let aborting = unit.hardware.abortingAll { unit.hardware = aborting }
            case .rootTable: unit.lookupTables(memory: memory.view).blockAll()
            }
            unit.invalidateAll()
        }
        return found.map { ($0.unit.id, $0.how) }
    }

    /// False for a group with a non-relaxable `direct` region: its DMA there must never stop (lifecycle.md, "not
    /// blockable, not resettable").
    func isBlockable(_ group: GroupID) -> Bool { !reservedRegions(of: group).contains { $0.kind == .direct } }
}
