import Hardware
import IOMMUModel

/// What attached groups forbid in an IOAS.
extension LiveEngine {
    /// What nothing may be mapped in for `group`: its reserved regions, without those that a driver may drop
    /// (`direct-relaxable`) and those that the kernel maps itself (`sw-msi`), and on x86 the interrupt window.
    public func enforcedRegions(of group: GroupID) -> [IOVARange] {
        var ranges = machine.reservedRegions(of: group).filter {
            $0.kind != .directRelaxable && $0.kind != .softwareMSI
        }.map(\.range)
        let member = groupTable[group]?.members.first.flatMap { machine.device($0) }
        let unit = member.flatMap { machine.unit($0.unit) }
        if unit?.kind.usesInterruptWindow(isTagged: false) != false,
            !ranges.contains(where: { $0.contains(IOMMUHardware.interruptWindow) })
        {
            ranges.append(IOMMUHardware.interruptWindow)
        }
        return ranges.sorted()
    }

    /// Reserves the group's regions in `ioas`.
    ///
    /// - Throws: `EADDRINUSE` when an area lies in one, or an allowed range asks for it.
    mutating func reserve(for group: GroupID, in ioas: IOASID) throws(Errno) {
        guard let record = ioasTable[ioas] else { throw .ENOENT }
        for range in enforcedRegions(of: group) where !record.canReserve(range) { throw .EADDRINUSE }
        noteReservations(of: group, in: ioas)
    }

    /// Reserves the group's regions in `ioas` whatever is mapped there already: what is taken over is a fact.
    mutating func noteReservations(of group: GroupID, in ioas: IOASID) {
        dropReservations(of: group, in: ioas)
        let reservations = enforcedRegions(of: group).map { IOAS.Reservation(range: $0, reason: .group(group)) }
        ioasTable[ioas]?.reserved += reservations
    }

    mutating func dropReservations(of group: GroupID, in ioas: IOASID) {
        ioasTable[ioas]?.reserved.removeAll { $0.reason == .group(group) }
    }

    mutating func dropReservations(of group: GroupID, hwpt: HWPTID) {
        if let ioas = hostIOAS(of: hwpt) { dropReservations(of: group, in: ioas) }
    }
}
