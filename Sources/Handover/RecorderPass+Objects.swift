import Engine
import IOMMUModel
import Snapshot

/// Objects above the domains: HWPTs, address spaces with their areas, backings.
extension RecorderPass {
    mutating func recordObjects(_ engine: borrowing LiveEngine) {
        for id in hwpts { recordHWPT(id, engine) }
        for id in ioases { recordIOAS(id, engine) }
        for id in files {
            let isUsed = keys.spacesOfFile[id] != nil
            Self.note(
                id, isUsed ? engine.backing(id).map { BackingRecord($0) } : nil, in: &keys.backings,
                &changes.records.backings, &changes.gone.backings)
        }
    }

    private mutating func recordHWPT(_ id: HWPTID, _ engine: borrowing LiveEngine) {
        var record: HWPTRecord?
        if let hwpt = engine.hwpt(id), keys.domains[hwpt.domain] != nil, let ioas = engine.hostIOAS(of: id) {
            record = HWPTRecord(id: id, ioas: ioas, domain: hwpt.domain, token: hwpt.token)
        }
        let former = keys.hwpts[id]
        guard former != record else { return }
        Self.note(id, record, in: &keys.hwpts, &changes.records.hwpts, &changes.gone.hwpts)
        if let former {
            keys.hwptOfDomain[former.domain] = nil
            keys.hwptsOfSpace.set(id, of: former.ioas, to: false)
            if former.ioas != record?.ioas { ioases.insert(former.ioas) }
        }
        if let record {
            keys.hwptOfDomain[record.domain] = id
            keys.hwptsOfSpace.set(id, of: record.ioas, to: true)
            if former?.ioas != record.ioas { ioases.insert(record.ioas) }
        }
    }

    private mutating func recordIOAS(_ id: IOASID, _ engine: borrowing LiveEngine) {
        let ioas = keys.hwptsOfSpace[id] == nil ? nil : engine.ioas(id)
        let isNew = keys.ioases[id] == nil
        Self.note(id, ioas.map { IOASRecord($0) }, in: &keys.ioases, &changes.records.ioases, &changes.gone.ioases)
        let former = keys.filesOfSpace[id] ?? []
        var now: Set<BackingID> = []
        if let ioas {
            guard isNew || isFull || touched.ioases.contains(id) else { return }
            let areas = ioas.areaRecords
            now = Set(areas.lazy.map(\.backing))
            keys.areaCounts[id] = areas.count
            changes.areaOwners.append(id)
            changes.records.areas += areas
        } else {
            keys.areaCounts[id] = nil
        }
        guard former != now else { return }
        keys.filesOfSpace[id] = now.isEmpty ? nil : now
        for file in former.symmetricDifference(now) {
            keys.spacesOfFile.set(id, of: file, to: now.contains(file))
            files.insert(file)
        }
    }
}
