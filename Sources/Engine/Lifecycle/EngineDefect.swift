import IOMMUModel

/// A bug that an engine is started with, to show that whoever looks for it finds it: what no correct engine does
/// (live-update.md section 4). For scenarios and tests; nothing else switches one on.
package enum EngineDefect: String, Sendable, Hashable, CaseIterable {
    /// A preserve checks the areas and leaves the IOAS mutable: what is mapped then is not checked (14).
    case lateImmutability = "late-immutability"
    /// VFIO's start-up attaches the blocking domain to a device that is claimed (32).
    case blockAtStart = "block-at-start"
    /// An exchange of domains blocks the requests for an instant (33).
    case nullWindow = "null-window"
    /// An inherited domain is freed with the first of its devices that leaves it (44).
    case earlyFree = "early-free"
    /// A device whose restore failed passes through in place of being quarantined (46).
    case fallBack = "fall-back"
    /// A freeze leaves the lookup entries of devices that are not preserved (47).
    case keepEntries = "keep-entries"
    /// A freeze leaves the lookup entries of requester ids without a function (48).
    case forgetAliases = "forget-aliases"
}

extension LiveEngine {
    /// Whose entry a freeze forgets.
    func isForgotten(_ requester: RequesterID) -> Bool {
        switch configuration.defect {
        case .keepEntries: true
        case .forgetAliases: machine.device(requester)?.hasFunction != true
        default: false
        }
    }

    /// Blocks a device behind the back of the books.
    func blockEntry(of requester: RequesterID) {
        guard let device = machine.device(requester), let unit = machine.unit(device.unit) else { return }
        let tables = unit.lookupTables(memory: machine.memory.view)
        guard let entry = tables.deviceEntry(device) else { return }
        tables.block(entry)
        unit.invalidateContexts(of: requester)
    }

    /// The default domain of a kernel that translates nothing, in the place of the quarantine.
    mutating func fallBack(_ requester: RequesterID) throws(Refusal) {
        do throws(Errno) { try move(AttachmentKey(requester), to: identityDomain) } catch { throw Refusal(error) }
    }
}
