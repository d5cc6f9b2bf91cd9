import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Attachments against the lookup entries in the recorded pages, in both directions.
struct AttachmentRules {
    let index: SnapshotIndex
    let machine: RecordedMachine
    private let units: [UnitID: RecordedUnit]

    init(index: SnapshotIndex, machine: RecordedMachine) {
        self.index = index
        self.machine = machine
        units = Dictionary(machine.units.map { ($0.record.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func check(into log: inout FindingLog) {
        var attached: Set<RequesterID> = []
        for attachment in index.snapshot.attachments {
            attached.insert(attachment.requester)
            guard let device = index.devices[attachment.requester], let unit = units[device.unit], unit.lookup != nil
            else { continue }
            if index.snapshot.origin == .engine, !device.preserved { continue }
            check(attachment, unit, &log)
        }
        let unblockable = index.snapshot.unblockableGroups
        for unit in machine.units {
            for context in unit.lookup?.contexts ?? [] where context.entry.isPresent {
                let requester = unit.requester(context.rid)
                if index.snapshot.origin == .engine, index.devices[requester]?.preserved != true {
                    if let group = index.devices[requester]?.group, unblockable.contains(group) { continue }
                    log.add(
                        Finding(
                            .unpreservedEntryLeft, device: requester, address: context.entryAddress,
                            "the device is not preserved, yet its context entry \(hex(context.entry.low)) is present"))
                } else if !attached.contains(requester), context.fault == nil {
                    log.add(
                        Finding(
                            .attachmentEntryDiffers, device: requester, address: context.entryAddress,
                            "the context entry \(hex(context.entry.low)) is present, no attachment is recorded"))
                }
            }
        }
    }

    private func check(_ attachment: AttachmentRecord, _ unit: RecordedUnit, _ log: inout FindingLog) {
        let rid = attachment.requester.rid
        func report(at address: PhysicalAddress?, _ message: String) {
            log.add(
                Finding(
                    .attachmentEntryDiffers, device: attachment.requester, pasid: attachment.pasid, address: address,
                    message))
        }
        guard attachment.pasid == nil else {
            report(at: attachment.entryAddress, "legacy mode has no entry for requests with a PASID")
            return
        }
        guard let domain = index.domains[attachment.domain] else { return }
        let root = unit.root(attachment.requester.bus)
        // A table that is not recorded is a finding of its own: nothing can be compared.
        if unit.lookup?.rootTableIsAbsent == true || root?.contextTableIsAbsent == true { return }
        guard let root, root.entry.isPresent,
            let place = VTDLookupIndex.contextEntry(rid, in: root.entry.contextTable)
        else {
            if domain.kind != .blocked {
                report(
                    at: root?.entryAddress ?? attachment.entryAddress,
                    "bus \(hex(UInt64(attachment.requester.bus), digits: 2)) has no context table")
            }
            return
        }
        if let recorded = attachment.entryAddress, recorded != place {
            report(at: recorded, "the hardware reads the context entry at \(place)")
        } else if attachment.entryAddress == nil, domain.kind != .blocked {
            report(at: place, "the attachment names no context entry")
        }
        let context = unit.context(rid)
        guard let context, context.entry.isPresent else {
            if domain.kind != .blocked {
                report(at: place, "the context entry is not present, domain \(domain.id) is attached")
            }
            return
        }
        compare(attachment, domain, context, unit, report)
    }

    private func compare(
        _ attachment: AttachmentRecord, _ domain: DomainRecord, _ context: VTDLegacyLookup.ContextEntry,
        _ unit: RecordedUnit, _ report: (PhysicalAddress?, String) -> Void
    ) {
        let low = context.entryAddress
        let high = PhysicalAddress(low.rawValue | 8)
        switch (domain.kind, context.translation) {
        // The fault has a finding of its own.
        case (_, nil): return
        case (.blocked, .some):
            report(low, "the context entry is present, the device is attached to a blocked domain")
            return
        case (.nested, .some):
            report(low, "legacy mode has no nested translation, domain \(domain.id) is nested")
            return
        case (.identity, .tables(_, let root)):
            report(low, "the context entry translates through \(root), domain \(domain.id) passes through")
        case (.paging, .passThrough):
            report(low, "the context entry passes through, domain \(domain.id) has page tables")
        case (.identity, .passThrough): break
        case (.paging, .tables(let configuration, let root)):
            guard let tables = index.geometry(of: domain.id, on: unit.record.id)?.tables else { return }
            if root != tables.root {
                report(low, "the context entry's root is \(root), domain \(domain.id) has \(tables.root)")
            }
            if configuration.topLevel != Int(tables.topLevel) {
                report(
                    high,
                    "the context entry's top level is \(configuration.topLevel), domain \(domain.id) has \(tables.topLevel)"
                )
            }
        }
        if UInt32(context.entry.domainID) != attachment.cacheTag || attachment.cachePASID != nil {
            let recorded =
                (attachment.cacheTag.map { "\($0)" } ?? "none")
                + (attachment.cachePASID.map { " with PASID \($0)" } ?? "")
            report(high, "the context entry's DID is \(context.entry.domainID), the recorded cache tag is \(recorded)")
        }
    }
}
