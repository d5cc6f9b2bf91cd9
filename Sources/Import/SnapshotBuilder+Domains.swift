import Hardware
import IOMMUModel
import PageTables
import Snapshot

extension SnapshotBuilder {
    /// What makes two context entries one domain.
    private enum DomainKey: Hashable {
        /// The same tables on the same unit.
        case tables(unit: Int, root: PhysicalAddress, topLevel: Int)
        /// Pass-through on the same unit with the same DID.
        case passThrough(unit: Int, domainID: UInt16)
        /// An entry that the hardware refuses shares with no other.
        case refused(entry: PhysicalAddress, RequesterID)
    }

    /// Records domains, attachments, tables and the areas that they translate.
    mutating func addDomains() {
        var known: [DomainKey: DomainID] = [:]
        var work = Work(pages: options.pageBudget, runs: options.runBudget)
        let holders = vfioGroups()
        for attached in attached {
            let entry = attached.context.entry
            let key: DomainKey =
                switch attached.context.translation {
                case .tables(let configuration, let root):
                    .tables(unit: attached.unit, root: root, topLevel: configuration.topLevel)
                case .passThrough: .passThrough(unit: attached.unit, domainID: entry.domainID)
                case nil: .refused(entry: attached.context.entryAddress, attached.requester)
                }
            let isNew = known[key] == nil
            let id = known[key] ?? DomainID(UInt32(known.count + 1))
            known[key] = id
            snapshot.attachments.append(
                AttachmentRecord(
                    requester: attached.requester, pasid: nil, domain: id, cacheTag: UInt32(entry.domainID),
                    entryAddress: attached.context.entryAddress))
            if isNew { addDomain(id, attached, &work) }
            if holders.contains(attached.requester) {
                snapshot.domains[Int(id.rawValue) - 1].holder = .iommufd
            }
        }
        if !snapshot.areas.isEmpty {
            snapshot.backings = [
                BackingRecord(
                    id: Self.physicalBacking, kind: .physical, base: PhysicalAddress(0), byteCount: 0, isSealed: false,
                    isAssumed: true)
            ]
        }
    }

    private static let physicalBacking = BackingID(1)

    /// What is left of the budgets.
    private struct Work {
        var pages: Int
        var runs: Int
    }

    /// The functions whose group has a VFIO owner: their domains are iommufd's, all others the kernel's own.
    private func vfioGroups() -> Set<RequesterID> {
        let groups = Set(snapshot.groups.filter { $0.owner == .vfio }.map(\.id))
        return Set(snapshot.devices.filter { groups.contains($0.group) }.map(\.requester))
    }

    /// Records a domain that was seen for the first time. Ids are given in order, so it is the last one.
    private mutating func addDomain(_ id: DomainID, _ attached: Attached, _ work: inout Work) {
        let unit = units[attached.unit].record.id
        let isIdentity = attached.context.translation == .passThrough
        snapshot.domains.append(
            DomainRecord(id: id, kind: isIdentity ? .identity : .paging, holder: .core))
        var geometry: DomainUnitRecord.Geometry?
        if case .tables(let configuration, let root) = attached.context.translation {
            geometry = .init(
                format: configuration.format, root: root, topLevel: UInt8(configuration.topLevel),
                addressBits: UInt8(configuration.addressBits), signExtended: configuration.signExtended,
                hardwareUpdatedMask: configuration.hardwareUpdatedMask)
        }
        snapshot.domainUnits.append(DomainUnitRecord(domain: id, unit: unit, tables: geometry))
        guard !isIdentity else { return }
        let number = UInt32(snapshot.ioases.count + 1)
        snapshot.ioases.append(IOASRecord(id: IOASID(number), areaOrigin: .derived, isImmutable: false))
        snapshot.hwpts.append(
            HWPTRecord(id: HWPTID(number), ioas: IOASID(number), domain: id, token: UInt64(number)))
        if case .tables(let configuration, let root) = attached.context.translation {
            addTables(configuration, root: root, domain: id, ioas: IOASID(number), &work)
        }
    }

    private mutating func addTables(
        _ configuration: PageTableConfiguration, root: PhysicalAddress, domain: DomainID, ioas: IOASID,
        _ work: inout Work
    ) {
        let view = image.memory.view
        // Defects are found again from the recorded pages: they are not kept here.
        let tree = Walker.scan(
            configuration, root: root, memory: view,
            budget: ScanBudget(pages: work.pages, runs: work.runs, defects: 0))
        work.pages -= tree.nodeCount
        var pages = PageSet()
        for node in tree.sortedNodes {
            guard let words = view.page(at: node.page) else { continue }
            pages.append(address: node.page, level: UInt8(node.level), words: words)
        }
        snapshot.tablePages.append(DomainPages(domain: domain, pages: pages))
        var told = 0
        let end = tree.forEachRun { run in
            snapshot.areas.append(
                AreaRecord(
                    ioas: ioas, range: run.range, backing: Self.physicalBacking, offset: run.pa.rawValue,
                    protection: run.protection))
            told += 1
            return told < work.runs
        }
        // Where one tree exhausts the budget, the next ones get none: the work stays bounded however many there are.
        if case .budgetExceeded = end { work.runs = 0 } else { work.runs -= told }
    }
}
