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
        if !ranges.contains(where: { $0.contains(VTDUnitHardware.interruptWindow) }) {
            ranges.append(VTDUnitHardware.interruptWindow)
        }
        return ranges.sorted()
    }

    /// Reserves the group's regions in `ioas`.
    ///
    /// - Throws: `EADDRINUSE` when an area lies in one, or an allowed range asks for it.
    mutating func reserve(for group: GroupID, in ioas: IOASID) throws(Errno) {
        guard let record = ioasTable[ioas] else { throw .ENOENT }
        let ranges = enforcedRegions(of: group)
        for range in ranges where !record.canReserve(range) { throw .EADDRINUSE }
        ioasTable[ioas]!.reserved += ranges.map { .init(range: $0, reason: .group(group)) }
    }

    mutating func dropReservations(of group: GroupID, in ioas: IOASID) {
        ioasTable[ioas]?.reserved.removeAll { $0.reason == .group(group) }
    }

    mutating func dropReservations(of group: GroupID, hwpt: HWPTID) {
        if let ioas = hwptTable[hwpt]?.ioas { dropReservations(of: group, in: ioas) }
    }
}
