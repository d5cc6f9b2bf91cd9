import Hardware
import IOMMUModel
import PageTables

/// Making and destroying backings, address spaces and page table objects.
extension LiveEngine {
    /// Registers memory that areas can be backed by.
    ///
    /// - Throws: `EINVAL` when a memory file is empty, not whole pages, or passes the end of physical space.
    public mutating func addBacking(
        _ kind: Backing.Kind, base: PhysicalAddress = PhysicalAddress(0), byteCount: UInt64 = 0,
        sealed: Bool = true, assumed: Bool = false
    ) throws(Errno) -> BackingID {
        var arguments: [Event.Argument] = [
            .init("kind", kind.rawValue), .init("base", base), .init("bytes", hex(byteCount)),
        ]
        if !sealed { arguments.append(.init("sealed", "0")) }
        if assumed { arguments.append(.init("assumed", "1")) }
        return try operation("add-backing", arguments, results: { [.init("backing", $0)] }) { (engine) throws(Errno) in
            if kind == .memfd {
                guard base.isAligned(toLog2: 12), byteCount > 0, byteCount & 0xfff == 0,
                    base.offset(by: byteCount) != nil
                else { throw .EINVAL }
            }
            let id = BackingID(engine.newID())
            engine.backingTable[id] = Backing(
                id: id, kind: kind, base: kind == .physical ? PhysicalAddress(0) : base,
                byteCount: kind == .physical ? 0 : byteCount, isSealed: sealed, isAssumed: assumed)
            return id
        }
    }

    /// Sets the file seals (SEAL, GROW, SHRINK) of a backing.
    ///
    /// - Throws: `ENOENT`.
    public mutating func sealBacking(_ backing: BackingID) throws(Errno) {
        try operation("seal-backing", [.init("backing", backing)]) { (engine) throws(Errno) in
            guard engine.backingTable[backing] != nil else { throw .ENOENT }
            engine.backingTable[backing]!.isSealed = true
        }
    }

    /// Makes an empty address space; with `allowed` nothing outside these ranges can be mapped.
    public mutating func createIOAS(
        allowed: [IOVARange]? = nil, areaOrigin: AreaOrigin = .declared
    ) throws(Errno) -> IOASID {
        var arguments: [Event.Argument] = []
        if let allowed {
            let ranges = allowed.map { "\($0.first)-\($0.last)" }
            arguments.append(.init("allowed", ranges.joined(separator: ",")))
        }
        if areaOrigin != .declared { arguments.append(.init("origin", areaOrigin.rawValue)) }
        return try operation("create-ioas", arguments, results: { [.init("ioas", $0)] }) { (engine) throws(Errno) in
            let id = IOASID(engine.newID())
            engine.ioasTable[id] = IOAS(id: id, allowed: allowed, areaOrigin: areaOrigin)
            return id
        }
    }

    /// - Throws: `ENOENT`, `EBUSY` while an HWPT belongs to it.
    public mutating func destroyIOAS(_ ioas: IOASID) throws(Errno) {
        try operation("destroy-ioas", [.init("ioas", ioas)]) { (engine) throws(Errno) in
            guard let record = engine.ioasTable[ioas] else { throw .ENOENT }
            guard record.hwpts.isEmpty, !record.isImmutable else { throw .EBUSY }
            engine.ioasTable[ioas] = nil
        }
    }

    /// Makes page tables for `ioas` that `unit` can walk, holding all areas that are there.
    ///
    /// `addressBits` asks for at least that width of the input address (VT-d: 39, 48 or 57 as CAP.SAGAW has it, less
    /// where CAP.MGAW is less); `nil` asks for the widest. AMD v1 tables grow by themselves as far as the unit can walk.
    /// `format` is the unit's usual one when `nil`; AMD needs ``IOMMUModel/PageTableFormatKind/x86_64`` for requests with
    /// a PASID (iommufd: IOMMU_HWPT_ALLOC_PASID).
    ///
    /// - Throws: `ENOENT` no such IOAS, `ENODEV` no such unit, `EBUSY` immutable IOAS, `EINVAL` no such width or format,
    ///   `EADDRINUSE` an area or an allowed range lies beyond the width, `ENOMEM`, `ENOSPC` no cache tag left.
    public mutating func createHWPT(
        ioas: IOASID, unit: UnitID, addressBits: Int? = nil, format: PageTableFormatKind? = nil
    ) throws(Errno) -> HWPTID {
        var arguments: [Event.Argument] = [.init("ioas", ioas), .init("unit", unit)]
        if let addressBits { arguments.append(.init("bits", addressBits)) }
        if let format { arguments.append(.init("format", format.rawValue)) }
        return try operation("create-hwpt", arguments, results: { [.init("hwpt", $0)] }) { (engine) throws(Errno) in
            guard let record = engine.ioasTable[ioas] else { throw .ENOENT }
            guard let hardware = engine.machine.unit(unit) else { throw .ENODEV }
            guard !record.isImmutable else { throw .EBUSY }
            guard addressBits.map({ $0 > 0 }) ?? true else { throw .EINVAL }
            let format = format ?? hardware.defaultFormat
            guard let shape = hardware.tableConfiguration(format: format, addressBits: addressBits) else {
                throw .EINVAL
            }
            let beyond = shape.unreachable
            if let beyond, !record.canReserve(beyond) { throw .EADDRINUSE }

            let table = try engine.newTable(shape, holding: record)
            let domain = DomainID(engine.newID())
            let id = HWPTID(engine.newID())
            engine.domainTable[domain] = Domain(id: domain, kind: .paging, holder: .iommufd, table: table)
            engine.domainTable[domain]!.hwpt = id
            // AMD's guest tables have the tags of their devices.
            if hardware.kind != .amdVi || format != .x86_64 {
                do throws(Errno) {
                    _ = try engine.cacheTag(of: domain, on: unit)
                } catch {
                    engine.destroyDomain(domain)
                    throw error
                }
            }
            engine.hwptTable[id] = HWPT(id: id, ioas: ioas, domain: domain)
            engine.ioasTable[ioas]!.hwpts.append(id)
            if let beyond { engine.ioasTable[ioas]!.reserved.append(.init(range: beyond, reason: .width(id))) }
            return id
        }
    }

    /// New tables with all areas of `ioas`; nothing is left behind on failure.
    private mutating func newTable(_ shape: PageTableConfiguration, holding ioas: IOAS) throws(Errno) -> PageTable {
        let view = machine.memory.view
        do throws(MapError) {
            var table = try PageTable.create(shape, arena: &arena, memory: view)
            if let error = fill(&table, with: ioas.areas) {
                table.destroy(memory: view, arena: &arena)
                throw error
            }
            return table
        } catch {
            // An address that the unit cannot name is a wrong argument here (ERANGE is the mapper's word for it).
            throw error.errno == .ERANGE ? .EINVAL : error.errno
        }
    }

    /// Maps every area; answers the first failure.
    private mutating func fill(_ table: inout PageTable, with areas: [IOPTArea]) -> MapError? {
        let view = machine.memory.view
        for area in areas {
            guard let address = physicalAddress(of: area) else {
                preconditionFailure("an area's backing outlives it")
            }
            do throws(MapError) {
                try table.map(
                    iova: area.range.first, pa: address, byteCount: area.range.lastOffset + 1,
                    protection: area.protection, memory: view, arena: &arena)
            } catch {
                return error
            }
        }
        return nil
    }

    /// Makes an object for a guest's tables below those of `parent`: requests go through both stages. The guest's tables
    /// are read by the hardware and by nobody else; `root` is an address of the guest.
    ///
    /// - Throws: `ENOENT` no such parent, `ENODEV` no such unit, `EINVAL` the parent has no host tables of the unit's own
    ///   format, or the unit cannot walk a first stage of that shape, `ENOSPC` no cache tag left.
    public mutating func createNestedHWPT(
        parent: HWPTID, unit: UnitID, root: PhysicalAddress, topLevel: Int = 3
    ) throws(Errno) -> HWPTID {
        let arguments: [Event.Argument] = [
            .init("parent", parent), .init("unit", unit), .init("root", root), .init("top", topLevel),
        ]
        return try operation("create-nested-hwpt", arguments, results: { [.init("hwpt", $0)] }) {
            (engine) throws(Errno) in
            guard let host = engine.hwptTable[parent] else { throw .ENOENT }
            guard let hardware = engine.machine.unit(unit) else { throw .ENODEV }
            guard let table = engine.domainTable[host.domain]?.table, hardware.hardware.supportsNesting,
                table.configuration.format == hardware.defaultFormat, root.isAligned(toLog2: 12),
                let shape = hardware.hardware.configuration(
                    format: .x86_64, topLevel: topLevel, addressBits: nil, signExtended: hardware.kind != .amdVi)
            else { throw .EINVAL }
            let domain = DomainID(engine.newID())
            let id = HWPTID(engine.newID())
            engine.domainTable[domain] = Domain(id: domain, kind: .nested, holder: .iommufd)
            engine.domainTable[domain]!.guestStage = TranslationStage(configuration: shape, root: root)
            engine.domainTable[domain]!.parent = host.domain
            engine.domainTable[domain]!.hwpt = id
            engine.hwptTable[id] = HWPT(id: id, ioas: nil, domain: domain)
            engine.hwptTable[id]!.parent = parent
            return id
        }
    }

    /// - Throws: `ENOENT`, `EBUSY` attached, preserved, or the parent of a nested one.
    public mutating func destroyHWPT(_ hwpt: HWPTID) throws(Errno) {
        try operation("destroy-hwpt", [.init("hwpt", hwpt)]) { (engine) throws(Errno) in
            guard let record = engine.hwptTable[hwpt] else { throw .ENOENT }
            guard engine.domainTable[record.domain]?.users.isEmpty == true,
                !engine.domainTable.values.contains(where: { $0.parent == record.domain })
            else { throw .EBUSY }
            engine.removeHWPT(record)
        }
    }

    mutating func removeHWPT(_ hwpt: HWPT) {
        destroyDomain(hwpt.domain)
        hwptTable[hwpt.id] = nil
        verifiedDomains[hwpt.id] = nil
        if let ioas = hwpt.ioas {
            ioasTable[ioas]?.hwpts.removeAll { $0 == hwpt.id }
            ioasTable[ioas]?.reserved.removeAll { $0.reason == .width(hwpt.id) }
        }
    }

    /// Frees an unused domain: its translations are invalidated before tag and frames can be used again.
    mutating func destroyDomain(_ id: DomainID) {
        guard let domain = domainTable.removeValue(forKey: id) else { return }
        precondition(domain.users.isEmpty || configuration.defect == .earlyFree, "domain \(id) is in use")
        for tag in domain.cacheTags {
            machine.unit(tag.unit)?.invalidate(tag: tag.cacheTag)
            unitTable[tag.unit]?.tagOwners[tag.cacheTag]?.remove(id)
            guard unitTable[tag.unit]?.tagOwners[tag.cacheTag]?.isEmpty == true else { continue }
            unitTable[tag.unit]?.tagOwners[tag.cacheTag] = nil
            unitTable[tag.unit]?.tags.free(tag.cacheTag)
        }
        if !domain.isDistrusted { domain.table?.destroy(memory: machine.memory.view, arena: &arena) }
    }
}

extension PageTableConfiguration {
    /// The input addresses that tables of this shape never translate, however far they grow; `nil`: none.
    var unreachable: IOVARange? {
        let bits = UInt64(maximumAddressBits)
        guard bits < 64 else { return nil }
        if signExtended {
            let half: UInt64 = 1 << (bits - 1)
            return IOVARange(first: IOVA(half), last: IOVA(0 &- half &- 1))
        }
        return IOVARange(first: IOVA(1 << bits), last: IOVA(.max))
    }
}
