import Hardware
import IOMMUModel
import PageTables
import Snapshot

/// Attachments against the lookup entries in the recorded pages, in both directions.
struct AttachmentRules {
    let index: SnapshotIndex
    let machine: RecordedMachine
    private let units: [UnitID: RecordedUnit]

    private struct Place: Hashable {
        var device: RequesterID
        var pasid: PASID?
    }

    init(index: SnapshotIndex, machine: RecordedMachine) {
        self.index = index
        self.machine = machine
        units = Dictionary(machine.units.map { ($0.record.id, $0) }, uniquingKeysWith: { first, _ in first })
    }

    func check(into log: inout FindingLog) {
        var attached: Set<Place> = []
        for attachment in index.snapshot.attachments {
            attached.insert(Place(device: attachment.requester, pasid: attachment.pasid))
            guard let device = index.devices[attachment.requester], let unit = units[device.unit],
                let hardware = unit.hardware, unit.listing != nil
            else { continue }
            if index.snapshot.origin == .engine, !device.preserved { continue }
            check(attachment, unit, hardware, &log)
        }
        for unit in machine.units {
            for entry in unit.listing?.entries ?? [] where entry.context != nil {
                let place = Place(device: unit.requester(entry.rid), pasid: entry.pasid)
                guard !attached.contains(place), !isLeft(place.device), let hardware = unit.hardware else { continue }
                let name = EntryWords.name(hardware, isDevice: entry.entryAddress == entry.deviceEntryAddress)
                log.add(
                    Finding(
                        .attachmentEntryDiffers, device: place.device, pasid: place.pasid, address: entry.entryAddress,
                        "the \(name) \(word(entry.entryAddress)) is present, no attachment is recorded"))
            }
        }
        if index.snapshot.origin == .engine { unpreserved(&log) }
    }

    /// The device goes over no jump: what is left of it is told once for all of its PASIDs.
    private func isLeft(_ device: RequesterID) -> Bool {
        index.snapshot.origin == .engine && index.devices[device]?.preserved != true
    }

    /// Device-level entries of devices that are not preserved and had to be cleared.
    private func unpreserved(_ log: inout FindingLog) {
        let unblockable = index.snapshot.unblockableGroups
        func isKept(_ device: RequesterID) -> Bool {
            index.devices[device].map { $0.preserved || unblockable.contains($0.group) } ?? false
        }
        for unit in machine.units {
            guard let hardware = unit.hardware else { continue }
            let name = EntryWords.name(hardware, isDevice: true)
            var last: UInt16?
            for entry in unit.listing?.entries ?? [] where entry.rid != last {
                last = entry.rid
                let device = unit.requester(entry.rid)
                guard !isKept(device) else { continue }
                log.add(
                    Finding(
                        .unpreservedEntryLeft, device: device, address: entry.deviceEntryAddress,
                        "the device is not preserved, yet its \(name) \(word(entry.deviceEntryAddress)) is present"))
            }
            // An entry that is not valid may let everything pass (AMD: V is 0).
            for device in index.snapshot.devices where device.unit == unit.record.id && !isKept(device.requester) {
                guard unit.listing?.rootIsAbsent == false,
                    hardware.resolve(device.requester.rid, pasid: nil, memory: machine.memory.view) == .untranslated
                else { continue }
                let steps = hardware.steps(device.requester.rid, pasid: nil, memory: machine.memory.view)
                log.add(
                    Finding(
                        .unpreservedEntryLeft, device: device.requester, address: steps.first?.address,
                        "the device is not preserved, yet its \(name) lets every request pass"))
            }
        }
    }

    private func word(_ address: PhysicalAddress) -> String { machine.memory.word(at: address).map { hex($0) } ?? "" }

    private func check(
        _ attachment: AttachmentRecord, _ unit: RecordedUnit, _ hardware: IOMMUHardware, _ log: inout FindingLog
    ) {
        func report(at address: PhysicalAddress?, _ message: String) {
            log.add(
                Finding(
                    .attachmentEntryDiffers, device: attachment.requester, pasid: attachment.pasid, address: address,
                    message))
        }
        guard let domain = index.domains[attachment.domain] else { return }
        let rid = attachment.requester.rid
        guard let entry = unit.entry(rid, attachment.pasid) else {
            unlisted(attachment, domain, hardware, report)
            return
        }
        if let recorded = attachment.entryAddress, recorded != entry.entryAddress {
            report(at: recorded, "the hardware reads the entry at \(entry.entryAddress)")
        } else if attachment.entryAddress == nil, domain.kind != .blocked {
            report(at: entry.entryAddress, "the attachment names no entry")
        }
        switch entry.resolution {
        case .context(let context):
            EntryComparison(
                attachment: attachment, domain: domain, context: context, words: EntryWords(context, hardware),
                hardware: hardware, index: index, unit: unit.record.id
            ).check { report(at: $0, $1) }
        // A reserved bit or the like has a finding of its own; an entry that is not there has none.
        case .fault(let fault) where domain.kind != .blocked && fault.reason.isNotPresent:
            // What an image lacks its attachment lacks too.
            guard index.snapshot.origin == .engine else { return }
            report(at: fault.entryAddress, "\(fault.reason); domain \(domain.id) is attached")
        case .fault, .untranslated, .absent: return
        }
    }

    /// The structures do not speak of the requester and PASID, or block it on purpose.
    private func unlisted(
        _ attachment: AttachmentRecord, _ domain: DomainRecord, _ hardware: IOMMUHardware,
        _ report: (PhysicalAddress?, String) -> Void
    ) {
        let rid = attachment.requester.rid
        let memory = machine.memory.view
        let resolution = hardware.resolve(rid, pasid: attachment.pasid, memory: memory, asListed: true)
        // A table that is not recorded is a finding of its own: nothing can be compared.
        if case .absent = resolution { return }
        let place = hardware.steps(rid, pasid: attachment.pasid, memory: memory, asListed: true).last
        if let recorded = attachment.entryAddress, let place, place.decides, recorded != place.address {
            report(recorded, "the hardware reads the entry at \(place.address)")
        }
        let what: String
        switch resolution {
        case .untranslated: what = "the entry lets every request pass"
        case _ where domain.kind == .blocked: return
        case .fault(let fault): what = fault.reason.description
        case .context: what = "the entry blocks every request"
        case .absent: return
        }
        let kind =
            domain.kind == .blocked ? "the device is attached to a blocked domain" : "domain \(domain.id) is attached"
        report(place?.address ?? attachment.entryAddress, "\(what); \(kind)")
    }
}

extension FaultReason {
    /// The entry that decides about the PASID is not there, which is no damage by itself.
    fileprivate var isNotPresent: Bool {
        switch self {
        case .vtd(let reason): reason == .pasidNotPresent || reason == .pasidDirectoryNotPresent
        case .amd(let reason): reason.cause == .gcr3NotValid
        case .smmu: false
        }
    }
}

extension LookupStep {
    /// The entry can be the one that an attachment names.
    fileprivate var decides: Bool {
        [
            VTDContextEntry.layout, VTDPASIDEntry.layout, AMDDeviceTableEntry.layout, AMDGCR3Entry.layout,
            SMMUStreamTableEntry.layout,
        ].contains { $0.name == layout.name }
    }
}
