import IOMMUModel
import PageTables

extension VTDListing {
    /// Reads the directory page by page: it is one piece, of which memory may hold a part.
    mutating func readDirectory(_ device: inout Device) {
        let context = device.context
        let count = context.directoryEntryCount
        for first in stride(from: 0, to: count, by: 512) {
            guard takePage(at: device.address, rid: device.rid) else { return }
            guard let page = context.directory.offset(by: UInt64(first) * 8) else { return }
            use(
                page, .vtdPASIDDirectory, from: context.directory, at: device.address, rid: device.rid,
                "PASID directory page")
            guard let words = memory.page(at: page) else {
                report(
                    .vtdPASIDDirectoryUnreachable, at: device.address, rid: device.rid, absentPage: page,
                    "PASID directory page \(page) is not in memory")
                continue
            }
            note(page, .vtdPASIDDirectory)
            let end = min(512, count - first)
            var place = words.firstNonZero(from: 0, to: end)
            while let index = place {
                readTable(
                    VTDPASIDDirectoryEntry(words[index]), index: first + index, at: Self.word(index, of: page), &device)
                if isExhausted { return }
                place = words.firstNonZero(from: index + 1, to: end)
            }
            // What follows the last entry in its page can only be a larger directory's.
            if words.firstNonZero(from: end, to: 512) != nil {
                reportBeyond((end..<512).filter { words[$0] & 1 != 0 }, of: page, first, device)
            }
        }
    }

    /// Tells, at the word that says where the directory ends, of the present entries `indices` of its last page, whose
    /// first entry is `first`.
    private mutating func reportBeyond(_ indices: [Int], of page: PhysicalAddress, _ first: Int, _ device: Device) {
        guard let lowest = indices.first, let highest = indices.last else { return }
        let context = device.context
        let more = lowest == highest ? "" : ", and \(indices.count - 1) more up to \(first + highest)"
        report(
            .vtdPASIDBeyondDirectory, at: device.address, rid: device.rid,
            "PDTS \(context.directorySizeCode) ends the PASID directory at \(context.directoryEntryCount) entries, "
                + "yet entry "
                + "\(first + lowest) at \(Self.word(lowest, of: page)) is present\(more): the PASIDs below it, from "
                + "\((first + lowest) * 64) on, are out of reach")
    }

    private mutating func readTable(
        _ directory: VTDPASIDDirectoryEntry, index: Int, at address: PhysicalAddress, _ device: inout Device
    ) {
        guard !directory.isEmpty else { return }
        let violations = directory.violations(hostAddressWidth: hostAddressWidth)
        var name: String { "PASID directory entry \(index)" }
        guard directory.isPresent else {
            reportNotPresent(
                .vtdPASIDDirectoryReserved, [directory.word], ignoresFPD: true, entry: address, rid: device.rid, name,
                once: true)
            return
        }
        reportReserved(
            .vtdPASIDDirectoryReserved, violations, isPresent: true, entry: address, rid: device.rid, name, once: true)
        guard takePage(at: address, rid: device.rid) else { return }
        let table = directory.table
        use(table, .vtdPASIDTable, from: address, at: address, rid: device.rid, "PASID table")
        guard let words = memory.page(at: table) else {
            report(
                .vtdPASIDTableUnreachable, at: address, rid: device.rid, absentPage: table,
                "PASID table \(table) of PASIDs \(index * 64) to \(index * 64 + 63) is not in memory", once: true)
            return
        }
        note(table, .vtdPASIDTable)
        // A defect of its words is told once: a table that is read again has none to tell.
        let isNew = checkedTables.insert(table).inserted
        let refusal =
            device.refusal
            ?? (violations.isEmpty
                ? nil
                : unit.fault(
                    .pasidDirectoryReserved, at: address,
                    suppressed: device.context.faultProcessingDisabled || directory.faultProcessingDisabled))
        var next = words.firstNonZero(from: 0, to: 512)
        while let slot = next.map({ $0 / 8 }) {
            next = words.firstNonZero(from: (slot + 1) * 8, to: 512)
            let entry = VTDPASIDEntry(words + slot * 8)
            guard !entry.isEmpty, let pasid = PASID(UInt32(index * 64 + slot)) else { continue }
            let place = PhysicalAddress(table.rawValue | UInt64(slot) << 6)
            let isTagged = pasid != device.untagged
            if isNew { check(entry, at: place, rid: device.rid, pasid: isTagged ? pasid : nil) }
            guard entry.isPresent, isTagged else { continue }
            device.hasTaggedEntries = true
            guard takePASID(at: place, rid: device.rid) else { return }
            listing.entries.append(
                .init(
                    rid: device.rid, pasid: pasid, entryAddress: place, deviceEntryAddress: device.address,
                    resolution: refusal
                        ?? unit.resolution(
                            of: entry, at: place, pasid: pasid, isUntagged: false, context: device.context,
                            contextAddress: device.address,
                            directoryIsSuppressed: directory.faultProcessingDisabled, reserved)))
        }
    }

    /// Tells what is wrong in one PASID-table entry that is not empty.
    private mutating func check(_ entry: VTDPASIDEntry, at address: PhysicalAddress, rid: UInt16, pasid: PASID?) {
        guard entry.isPresent else {
            reportNotPresent(
                .vtdPASIDReserved, entry.words, ignoresFPD: true, entry: address, rid: rid, pasid: pasid,
                "PASID-table entry", once: true)
            return
        }
        if reserved.hasViolation(entry) {
            reportReserved(
                .vtdPASIDReserved, reserved.violations(entry), isPresent: true, entry: address, rid: rid, pasid: pasid,
                "PASID-table entry", once: true)
        }
        let ecap = unit.registers.extendedCapability
        let problem: String? =
            switch entry.translationType {
            case nil: "\(entry.translationTypeCode) is reserved"
            case .firstStage: ecap.firstStage ? nil : "1 (first stage) needs ECAP.FSTS, which is 0"
            case .secondStage: ecap.secondStage ? nil : "2 (second stage) needs ECAP.SSTS, which is 0"
            case .nested: ecap.nested ? nil : "3 (nested) needs ECAP.NEST, which is 0"
            case .passThrough: ecap.passThrough ? nil : "4 (pass-through) needs ECAP.PT, which is 0"
            }
        if let problem {
            report(
                .vtdPASIDTranslationType, at: address, rid: rid, pasid: pasid,
                "translation type (PGTT) \(problem): every access faults", once: true)
            return
        }
        let hasFirst = entry.translationType == .firstStage || entry.translationType == .nested
        let hasSecond = entry.translationType == .secondStage || entry.translationType == .nested
        let second = hasSecond ? unit.secondStage(of: entry) : nil
        if hasSecond, second == nil {
            reportAddressWidth(
                .vtdPASIDAddressWidth, entry.addressWidthCode, at: address, rid: rid, pasid: pasid,
                once: true)
        }
        if hasFirst, unit.firstStage(of: entry) == nil {
            report(
                .vtdPASIDAddressWidth, at: Self.word(2, of: address), rid: rid, pasid: pasid,
                "first-stage paging mode (FSPM) \(entry.firstStageModeCode) is not supported: every access faults",
                once: true)
        }
        if hasFirst, let bits = second?.configuration.addressBits, entry.firstStageRoot.rawValue >> UInt64(bits) != 0 {
            report(
                .vtdPASIDAddressWidth, at: Self.word(2, of: address), rid: rid, pasid: pasid,
                "first-stage root \(entry.firstStageRoot) is beyond the \(bits) bits of the second stage: every access "
                    + "faults",
                once: true)
        }
    }
}

extension UnsafeMutablePointer<UInt64> {
    /// The first word that is not zero in `start..<end`, or `nil`. Most of a directory and of a table is empty: eight words
    /// are looked at in one.
    fileprivate func firstNonZero(from start: Int, to end: Int) -> Int? {
        var index = start
        while index < end {
            if index &+ 8 <= end {
                let low = self[index] | self[index &+ 1] | self[index &+ 2] | self[index &+ 3]
                let high = self[index &+ 4] | self[index &+ 5] | self[index &+ 6] | self[index &+ 7]
                if low | high == 0 {
                    index &+= 8
                    continue
                }
            }
            if self[index] != 0 { return index }
            index &+= 1
        }
        return nil
    }
}
