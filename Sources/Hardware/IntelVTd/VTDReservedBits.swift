/// The bits that must be zero in the scalable-mode entries of one unit: those that no unit uses, those of features that
/// it lacks, and addresses at and above its host address width (VT-d 9.4, 9.6).
///
/// AW is an exception: drivers write it into first-stage entries of units without a second stage, so it is ignored
/// there rather than reserved. NXE and SMEP (bits 6:5 of word 2), which newer revisions ignore, are reserved nowhere.
struct VTDReservedBits {
    /// Of a context entry, by word.
    let context: (UInt64, UInt64)
    /// Of a PASID-table entry: words 0, 1, 2, 4 and 5. Words 3, 6 and 7 are all reserved.
    let pasid: (word0: UInt64, word1: UInt64, word2: UInt64, word4: UInt64, word5: UInt64)

    init(_ registers: VTDRegisters) {
        let ecap = registers.extendedCapability
        let above = vtdAddressBits(above: registers.hostAddressWidth)
        /// The bits of `field` unless the unit has what they belong to.
        func lacking(_ field: BitField, _ has: Bool) -> UInt64 { has ? 0 : field.mask }
        typealias Context = VTDScalableContextEntry
        typealias Entry = VTDPASIDEntry
        context = (
            0x180 | (ecap.hostPermissionTable ? 0 : 1 << 5) | (ecap.pasidInTranslatedRequests ? 0 : 1 << 6)
                | lacking(Context.dte, ecap.deviceTLB) | lacking(Context.paside, ecap.pasid)
                | lacking(Context.pre, ecap.pageRequests) | above,
            ~0 << 21 | lacking(Context.ridPASID, ecap.ridPASID) | lacking(Context.ridPriv, ecap.ridPrivilege)
        )
        let second = ecap.secondStage || ecap.nested
        let first = ecap.firstStage || ecap.nested
        let domain = (~0 << UInt64(registers.capability.domainIDBits)) & Entry.did.mask
        pasid = (
            word0: 0xc00 | lacking(Entry.ssee, ecap.executeRequests)
                | lacking(Entry.ssade, second && ecap.secondStageAccessedDirty) | lacking(Entry.ssptptr, second)
                | above,
            word1: 0x7f_0000 | domain | lacking(Entry.pwsnp, ecap.walkSnoop) | lacking(Entry.pgsnp, ecap.snoopControl)
                | (ecap.memoryTypes ? 0 : ~0 << 25),
            word2: 0xf00 | (ecap.executeRequests ? 0 : 2) | lacking(Entry.sre, ecap.supervisorRequests)
                | lacking(Entry.fspm, first) | lacking(Entry.wpe, first) | lacking(Entry.eafe, ecap.extendedAccessed)
                | lacking(Entry.fsptptr, first) | above,
            // The host permission table: HPTSZ 1:0, HPTPFD 2, HPTPTR 63:12, and its domain id.
            word4: ecap.hostPermissionTable ? 0xff8 | above : ~0,
            word5: ecap.hostPermissionTable ? ~0xffff | domain : ~0
        )
    }

    /// The reserved bits that are set in `entry`.
    func violations(_ entry: VTDScalableContextEntry) -> [BitRange] {
        Self.ranges(
            entry.words, masks: [context.0, context.1, ~0, ~0], layout: VTDScalableContextEntry.layout)
    }

    /// True when ``violations(_:)-(VTDScalableContextEntry)`` is not empty; allocates nothing.
    func hasViolation(_ entry: VTDScalableContextEntry) -> Bool {
        entry.low & context.0 | entry.high & context.1 | entry.word2 | entry.word3 != 0
    }

    /// The reserved bits that are set in `entry`.
    func violations(_ entry: VTDPASIDEntry) -> [BitRange] {
        Self.ranges(
            entry.words,
            masks: [pasid.word0, pasid.word1, pasid.word2, ~0, pasid.word4, pasid.word5, ~0, ~0],
            layout: VTDPASIDEntry.layout)
    }

    /// True when ``violations(_:)-(VTDPASIDEntry)`` is not empty; allocates nothing.
    func hasViolation(_ entry: VTDPASIDEntry) -> Bool {
        let named = entry.word0 & pasid.word0 | entry.word1 & pasid.word1 | entry.word2 & pasid.word2
        let others = entry.word4 & pasid.word4 | entry.word5 & pasid.word5
        return named | others | entry.word3 | entry.word6 | entry.word7 != 0
    }

    /// The layout's reserved ranges and fields that have a bit of `masks` set in `words`; of a field that is reserved
    /// in part, that part.
    private static func ranges(_ words: [UInt64], masks: [UInt64], layout: StructureLayout) -> [BitRange] {
        var result = layout.reserved.filter { words[$0.word] & masks[$0.word] & $0.mask != 0 }
        for field in layout.fields {
            let reserved = masks[field.word] & field.mask
            guard words[field.word] & reserved != 0 else { continue }
            result.append(BitRange(word: field.word, field.high, reserved.trailingZeroBitCount))
        }
        return result
    }
}
