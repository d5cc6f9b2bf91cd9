import IOMMUModel
import PageTables

/// Mapping in an IOAS: the areas, and the tables of every HWPT of it.
extension LiveEngine {
    /// Maps `byteCount` bytes of `backing` from `offset` on at `iova`; all of the IOAS's tables or none, and where tables
    /// grow a root (AMD v1) every entry that leads to them or none.
    ///
    /// - Throws: `ENOENT` no such IOAS or backing, `EBUSY` immutable, `EOVERFLOW` the range wraps, `EINVAL` not whole
    ///   pages, no protection, outside the backing, outside the allowed ranges or in a reserved one, an address wider
    ///   than a unit's, tables of more levels than a unit walks (AMD v1), `EEXIST` an area is there already, `ENOMEM` no
    ///   table frames.
    public mutating func map(
        ioas: IOASID, iova: IOVA, byteCount: UInt64, backing: BackingID, offset: UInt64 = 0, protection: Protection
    ) throws(Errno) {
        try operation(
            "map",
            [
                .init("ioas", ioas), .init("iova", iova), .init("bytes", hex(byteCount)), .init("backing", backing),
                .init("offset", hex(offset)), .init("protection", protection),
            ]
        ) { (engine) throws(Errno) in
            guard let record = engine.ioasTable[ioas] else { throw .ENOENT }
            guard let memory = engine.backingTable[backing] else { throw .ENOENT }
            guard !record.isImmutable else { throw .EBUSY }
            guard byteCount > 0, (iova.rawValue | byteCount | offset) & 0xfff == 0 else { throw .EINVAL }
            guard !protection.isEmpty else { throw .EINVAL }
            guard let range = IOVARange(first: iova, bytes: byteCount) else { throw .EOVERFLOW }
            guard let address = memory.address(offset: offset, bytes: byteCount) else { throw .EINVAL }
            guard record.permits(range) else { throw .EINVAL }
            guard record.indices(touching: range).isEmpty else { throw .EEXIST }
            try engine.mapTables(of: record, range: range, at: address, protection: protection)
            let place = record.firstIndex(endingAtOrAfter: iova)
            let area = IOPTArea(range: range, backing: backing, offset: offset, protection: protection)
            engine.ioasTable[ioas]!.areas.insert(area, at: place)
            engine.forgetComparisons(with: record)
        }
    }

    private mutating func mapTables(
        of ioas: IOAS, range: IOVARange, at address: PhysicalAddress, protection: Protection
    ) throws(Errno) {
        let view = machine.memory.view
        var done: [(domain: DomainID, before: PageTable)] = []
        do throws(Errno) {
            for hwpt in ioas.hwpts {
                guard let domain = hwptTable[hwpt]?.domain, let before = domainTable[domain]?.table else { continue }
                do {
                    try domainTable[domain]!.table!.map(
                        iova: range.first, pa: address, byteCount: range.lastOffset + 1, protection: protection,
                        memory: view, arena: &arena)
                } catch {
                    // An address that the unit cannot name is a wrong argument here (ERANGE is the mapper's word for it).
                    throw error.errno == .ERANGE ? .EINVAL : error.errno
                }
                done.append((domain, before))
            }
            for (domain, before) in done where domainTable[domain]!.table!.root != before.root {
                try publishGrownRoot(of: domain)
            }
        } catch {
            for (domain, before) in done.reversed() { undoMap(of: domain, range: range, before: before) }
            throw error
        }
    }

    /// Points every entry of `domain`, and of the guests below it, at the root that its tables have grown (AMD v1).
    ///
    /// - Throws: `EINVAL` a unit cannot walk tables of that many levels.
    private func publishGrownRoot(of domain: DomainID) throws(Errno) {
        guard let stage = domainTable[domain]?.table?.stage else { return }
        let devices = devices(through: domain)
        for device in devices where machine.unit(device.unit)?.canWalk(stage) != true { throw .EINVAL }
        for device in devices { try rehost(device, to: stage) }
    }

    /// The devices whose entries name the tables of `domain`, ascending.
    private func devices(through domain: DomainID) -> [MachineDevice] {
        let children = domainTable.values.filter { $0.parent == domain }.map(\.id)
        let users = ([domain] + children).flatMap { domainTable[$0]!.users }
        return Set(users.filter { attachmentTable[$0]?.state != .quarantined }.map(\.requester)).sorted()
            .compactMap { machine.device($0) }
    }

    /// Takes `range` out of the tables of `domain` again, and the roots that it made them grow. O(tables) where they grew.
    private mutating func undoMap(of domain: DomainID, range: IOVARange, before: PageTable) {
        unmapTables(of: domain, range: range)
        let grown = domainTable[domain]!.table!
        guard grown.root != before.root else { return }
        let nodes = allNodes(grown)
        var former = before
        if nodes.contains(where: { $0.page == before.root && $0.level == before.configuration.topLevel }) {
            let kept = Set(allNodes(before).map(\.page))
            for node in nodes where !kept.contains(node.page) { arena.free(node.page) }
        } else {
            // The root mapped nothing, and a leaf of a larger size took its place.
            grown.destroy(memory: machine.memory.view, arena: &arena)
            do {
                former = try PageTable.create(before.configuration, arena: &arena, memory: machine.memory.view)
            } catch {
                preconditionFailure("the frame of the grown root is free")
            }
        }
        domainTable[domain]!.table = former
        // Where an entry cannot be changed it was not changed before.
        for device in devices(through: domain) { try? rehost(device, to: former.stage) }
    }

    private func allNodes(_ table: PageTable) -> [TableTree.Node] {
        Walker.scan(
            table.configuration, root: table.root, memory: machine.memory.view,
            budget: ScanBudget(pages: .max, defects: 0)
        ).nodes
    }

    /// Removes a range from one domain's tables and from the caches of every unit that has a tag of it.
    @discardableResult
    private mutating func unmapTables(of domain: DomainID, range: IOVARange) -> UInt64 {
        let view = machine.memory.view
        let bytes = domainTable[domain]!.table!.unmap(
            iova: range.first, byteCount: range.lastOffset + 1, memory: view, arena: &arena)
        invalidate(domain, range: range)
        return bytes
    }

    /// Unmaps every area in the range and answers how many bytes these were. Areas are never cut; as in iommufd the range
    /// need not be whole pages. `byteCount` `.max` from IOVA 0 on stands for everything, and succeeds on nothing too.
    ///
    /// - Throws: `ENOENT` no such IOAS, nothing is mapped there, or an area lies only partly inside, `EBUSY` immutable,
    ///   `EINVAL` no bytes, `EOVERFLOW` the range wraps.
    @discardableResult
    public mutating func unmap(ioas: IOASID, iova: IOVA, byteCount: UInt64) throws(Errno) -> UInt64 {
        try operation(
            "unmap", [.init("ioas", ioas), .init("iova", iova), .init("bytes", hex(byteCount))],
            results: { [.init("unmapped", hex($0))] }
        ) { (engine) throws(Errno) in
            guard let record = engine.ioasTable[ioas] else { throw .ENOENT }
            guard !record.isImmutable else { throw .EBUSY }
            guard byteCount > 0 else { throw .EINVAL }
            guard let range = IOVARange(first: iova, bytes: byteCount) else { throw .EOVERFLOW }
            let indices = record.indices(touching: range)
            if indices.isEmpty, iova.rawValue == 0, byteCount == .max { return 0 }
            guard !indices.isEmpty, record.areas[indices].allSatisfy({ range.contains($0.range) }) else {
                throw .ENOENT
            }
            return engine.removeAreas(indices, of: record)
        }
    }

    private mutating func removeAreas(_ indices: Range<Int>, of ioas: IOAS) -> UInt64 {
        var bytes: UInt64 = 0
        for area in ioas.areas[indices] {
            for hwpt in ioas.hwpts {
                guard let domain = hwptTable[hwpt]?.domain else { continue }
                unmapTables(of: domain, range: area.range)
            }
            bytes += area.range.lastOffset + 1
        }
        ioasTable[ioas.id]!.areas.removeSubrange(indices)
        forgetComparisons(with: ioas)
        return bytes
    }
}
