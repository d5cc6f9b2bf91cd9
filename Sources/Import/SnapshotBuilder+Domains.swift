import Hardware
import IOMMUModel
import PageTables
import Snapshot

extension SnapshotBuilder {
    /// What makes the requests of two entries one domain's.
    private enum DomainKey: Hashable {
        /// The same tables on the same unit.
        case tables(unit: Int, root: PhysicalAddress, format: PageTableFormatKind, topLevel: Int)
        /// The same guest's tables over the same host's.
        case nested(unit: Int, first: PhysicalAddress, topLevel: Int, second: PhysicalAddress)
        /// Pass-through on the same unit with the same tag.
        case passThrough(unit: Int, tag: UInt32)
        /// An entry that the hardware refuses shares with no other.
        case refused(entry: PhysicalAddress, RequesterID)

        init(_ attached: Attached) {
            guard let context = attached.context else {
                self = .refused(entry: attached.entry.entryAddress, attached.requester)
                return
            }
            switch context.path {
            case .passThrough: self = .passThrough(unit: attached.unit, tag: context.cacheTag)
            case .single(let stage): self = .init(stage, attached.unit)
            case .nested(let first, let second):
                self = .nested(
                    unit: attached.unit, first: first.root, topLevel: first.configuration.topLevel, second: second.root)
            }
        }

        init(_ stage: TranslationStage, _ unit: Int) {
            self = .tables(
                unit: unit, root: stage.root, format: stage.configuration.format,
                topLevel: stage.configuration.topLevel)
        }
    }

    /// Records domains, attachments, tables and the areas that they translate.
    mutating func addDomains() {
        var known: [DomainKey: DomainID] = [:]
        var tables: [Tables] = []
        let holders = vfioGroups()
        for attached in attached {
            var parent: DomainID?
            if let context = attached.context, case .nested(_, let host) = context.path {
                parent = domain(DomainKey(host, attached.unit), &known) { builder, id in
                    builder.addDomain(id, .paging, host, nil, attached, &tables)
                }
            }
            let id = domain(DomainKey(attached), &known) { builder, id in
                switch attached.context?.path {
                case .passThrough: builder.addDomain(id, .identity, nil, nil, attached, &tables)
                case .nested(let first, _): builder.addDomain(id, .nested, first, parent, attached, &tables)
                case .single(let stage): builder.addDomain(id, .paging, stage, nil, attached, &tables)
                case nil: builder.addDomain(id, .paging, nil, nil, attached, &tables)
                }
            }
            snapshot.attachments.append(
                AttachmentRecord(
                    requester: attached.requester, pasid: attached.pasid, domain: id,
                    cacheTag: attached.context?.cacheTag, cachePASID: attached.context?.cachePASID,
                    entryAddress: attached.entry.entryAddress))
            if holders.contains(attached.requester) {
                for id in [id, parent].compactMap(\.self) {
                    snapshot.domains[Int(id.rawValue) - 1].holder = .iommufd
                }
            }
        }
        addTables(tables)
        if !snapshot.areas.isEmpty {
            snapshot.backings = [
                BackingRecord(
                    id: Self.physicalBacking, kind: .physical, base: PhysicalAddress(0), byteCount: 0, isSealed: false,
                    isAssumed: true)
            ]
        }
    }

    /// The domain of `key`, made by `make` when it is seen for the first time. Ids are given in that order.
    private mutating func domain(
        _ key: DomainKey, _ known: inout [DomainKey: DomainID], make: (inout SnapshotBuilder, DomainID) -> Void
    ) -> DomainID {
        if let id = known[key] { return id }
        let id = DomainID(UInt32(known.count + 1))
        known[key] = id
        make(&self, id)
        return id
    }

    private static let physicalBacking = BackingID(1)

    /// Tables to be read.
    private struct Tables {
        let stage: TranslationStage
        let unit: Int
        let domain: DomainID
        let ioas: IOASID
    }

    /// The functions whose group has a VFIO owner: their domains are iommufd's, all others the kernel's own.
    private func vfioGroups() -> Set<RequesterID> {
        let groups = Set(snapshot.groups.filter { $0.owner == .vfio }.map(\.id))
        return Set(snapshot.devices.filter { groups.contains($0.group) }.map(\.requester))
    }

    /// Records a domain that was seen for the first time; it is the last one. `stage` is `nil` for pass-through and for
    /// an entry that the hardware refuses.
    private mutating func addDomain(
        _ id: DomainID, _ kind: DomainKind, _ stage: TranslationStage?, _ parent: DomainID?, _ attached: Attached,
        _ tables: inout [Tables]
    ) {
        snapshot.domains.append(DomainRecord(id: id, kind: kind, holder: .core, parent: parent))
        snapshot.domainUnits.append(
            DomainUnitRecord(
                domain: id, unit: units[attached.unit].record.id, tables: stage.map { DomainUnitRecord.Geometry($0) }))
        guard kind != .identity else { return }
        let number = UInt32(snapshot.hwpts.count + 1)
        // A guest's requests end in the address space of its host's tables.
        let host = parent.flatMap { addressSpaces[$0] }
        let ioas = host ?? IOASID(UInt32(snapshot.ioases.count + 1))
        addressSpaces[id] = ioas
        snapshot.hwpts.append(HWPTRecord(id: HWPTID(number), ioas: ioas, domain: id, token: UInt64(number)))
        guard kind == .paging else { return }
        snapshot.ioases.append(IOASRecord(id: ioas, areaOrigin: .derived, isImmutable: false))
        if let stage { tables.append(Tables(stage: stage, unit: attached.unit, domain: id, ioas: ioas)) }
    }

    /// Reads and records `tables`, and the areas that they translate.
    private mutating func addTables(_ tables: [Tables]) {
        let scans = TableScan.all(
            tables.map(\.stage), memory: image.memory.view,
            budget: .init(pages: options.pageBudget, runs: options.runBudget))
        snapshot.areas.reserveCapacity(scans.reduce(0) { $0 + $1.areas.count })
        for (tables, scan) in zip(tables, scans) {
            mappedTables[tables.unit, default: []].formUnion(scan.mappedTables)
            snapshot.tablePages.append(DomainPages(domain: tables.domain, pages: scan.pages))
            for run in scan.areas {
                snapshot.areas.append(
                    AreaRecord(
                        ioas: tables.ioas, range: run.range, backing: Self.physicalBacking, offset: run.pa.rawValue,
                        protection: run.protection))
            }
        }
    }
}

extension DomainUnitRecord.Geometry {
    /// Root and shape of `stage`, with what the hardware sets in its words.
    init(_ stage: TranslationStage) {
        self.init(
            format: stage.configuration.format, root: stage.root, topLevel: UInt8(stage.configuration.topLevel),
            addressBits: UInt8(stage.configuration.addressBits), signExtended: stage.configuration.signExtended,
            hardwareUpdatedMask: stage.configuration.hardwareUpdatedMask)
    }
}
