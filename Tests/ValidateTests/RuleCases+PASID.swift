import Hardware
import IOMMUModel
import PageTables
import Snapshot

extension PASIDRuleCase {
    static let all: [PASIDRuleCase] = scalable + amd + tables

    static let first = PASIDMachine.first
    static let second = PASIDMachine.second
    static let nesting = PASIDMachine.nesting

    static func word(_ index: UInt64, _ address: PhysicalAddress) -> PhysicalAddress {
        PASIDMachine.word(index, address)
    }

    /// Flips `bits` of the word that `place` names and records the machine as it is then.
    private static func flip(
        _ bits: UInt64, _ place: @escaping @Sendable (inout PASIDMachine) -> PhysicalAddress
    ) -> @Sendable (inout PASIDMachine) throws -> PhysicalAddress? {
        { machine in
            let address = place(&machine)
            machine.write(machine.read(address) ^ bits, address)
            try machine.record()
            return address
        }
    }

    private static let scalable: [PASIDRuleCase] = [
        .init(.intel, .vtdPASIDDirectoryUnreachable, "a directory outside memory", device: first) {
            let place = $0.deviceEntry(first)
            $0.write(
                VTDScalableContextEntry(
                    directory: PhysicalAddress(0x77_7000_0000), directorySizeCode: 0, pasidEnabled: true
                ).words, place)
            try $0.record()
            return place
        },
        .init(.intel, .lookupPageUnknown, "a directory that is not recorded", device: first) {
            let place = $0.deviceEntry(first)
            $0.write(
                VTDScalableContextEntry(
                    directory: PhysicalAddress(PASIDMachine.fileBase), directorySizeCode: 0, pasidEnabled: true
                ).words, place)
            try $0.record()
            return place
        },
        .init(
            .intel, .vtdPASIDDirectoryReserved, "a reserved bit", device: first,
            edit: flip(1 << 5) { $0.upperEntry(first, 64) }),
        .init(.intel, .vtdPASIDTableUnreachable, "a table outside memory", device: first) {
            let place = $0.upperEntry(first, 64)
            $0.write(0x77_7000_0001, place)
            try $0.record()
            return place
        },
        .init(
            .intel, .vtdPASIDReserved, "a reserved bit of the second word", device: first, pasid: 1,
            edit: flip(1 << 20) { word(1, $0.entry(first, 1)) }),
        .init(
            .intel, .vtdPASIDTranslationType, "a reserved type", device: first, pasid: 1,
            edit: flip(7 << 6) { $0.entry(first, 1) }),
        .init(.intel, .vtdPASIDAddressWidth, "57 bits", device: second, edit: flip(1 << 2) { $0.entry(second, 0) }),
        .init(
            .intel, .vtdPASIDAddressWidth, "a first stage of five levels", device: first, pasid: 1,
            edit: flip(1 << 2) { word(2, $0.entry(first, 1)) }),
        .init(.intel, .vtdPASIDBeyondDirectory, "an entry beyond PDTS", severity: .warning, device: first) {
            $0.write(VTDPASIDDirectoryEntry(table: $0.frame()).word, word(200, $0.directories[first]!))
            try $0.record()
            return $0.deviceEntry(first)
        },
        .init(
            .intel, .vtdPASIDNotEnabled, "PASIDE cleared", severity: .note, device: first,
            edit: flip(8) { $0.deviceEntry(first) }),
        .init(.intel, .cacheTagCollision, "one DID and PASID, two first stages", device: nesting, pasid: 1) {
            $0.enter(nesting, 1, VTDPASIDEntry(firstStage: $0.roots[3]!, isFiveLevel: false, domainID: 6))
            $0.attach(nesting, 1, 3, tag: 6, key: 1, at: $0.entry(nesting, 1))
            try $0.record()
            return word(1, $0.entry(nesting, 1))
        },
        .init(.intel, .cacheTagCollision, "a nested parent under another's DID", device: nesting, pasid: 100) {
            $0.write(5, word(1, $0.entry(nesting, 100)))
            $0.snapshot.attachments[$0.attachment(nesting, 100)].cacheTag = 5
            try $0.record()
            return word(1, $0.entry(nesting, 100))
        },
        .init(.intel, .attachmentEntryDiffers, "another root for one PASID", device: first, pasid: 64) {
            $0.enter(first, 64, VTDPASIDEntry(firstStage: $0.roots[3]!, isFiveLevel: false, domainID: 6))
            try $0.record()
            return word(2, $0.entry(first, 64))
        },
        .init(.intel, .attachmentEntryDiffers, "one stage where two are recorded", device: nesting, pasid: 100) {
            $0.enter(nesting, 100, VTDPASIDEntry(firstStage: $0.roots[2]!, isFiveLevel: false, domainID: 8))
            try $0.record()
            return word(2, $0.entry(nesting, 100))
        },
        .init(.intel, .attachmentEntryDiffers, "a PASID's entry that is gone", device: first, pasid: 70) {
            let place = $0.entry(first, 70)
            $0.write([UInt64](repeating: 0, count: 8), place)
            try $0.record()
            return place
        },
        .init(.intel, .attachmentEntryDiffers, "an untagged entry that is gone", device: second) {
            let place = $0.entry(second, 0)
            $0.write([UInt64](repeating: 0, count: 8), place)
            try $0.record()
            return place
        },
        .init(.intel, .attachmentEntryDiffers, "a PASID's attachment that is gone", device: first, pasid: 1) {
            $0.snapshot.attachments.remove(at: $0.attachment(first, 1))
            return $0.entry(first, 1)
        },
        .init(.intel, .unpreservedEntryLeft, "a device with PASIDs, told once", device: nesting) {
            $0.snapshot.devices[3].preserved = false
            return $0.deviceEntry(nesting)
        },
        .init(
            .intel, .guestTableUnmapped, "a guest's root beyond its memory", severity: .warning, device: nesting,
            pasid: 100
        ) {
            $0.enter(
                nesting, 100,
                VTDPASIDEntry(
                    firstStage: PhysicalAddress(0x10000), isFiveLevel: false, over: $0.roots[5]!, width: .bits48,
                    domainID: 8))
            $0.snapshot.domainUnits[3].tables?.root = PhysicalAddress(0x10000)
            try $0.record()
            return word(2, $0.entry(nesting, 100))
        },
    ]

    private static let amd: [PASIDRuleCase] = [
        .init(.amd, .amdDeviceTable, "a reserved bit in the register") {
            $0.snapshot.units[0].registers[1].value |= 1 << 10
            return nil
        },
        .init(.amd, .amdDeviceTable, "no register") {
            $0.snapshot.units[0].registers.removeAll { $0.name == "devtab" }
            return nil
        },
        .init(.amd, .amdDeviceTable, "translation off") {
            $0.snapshot.units[0].registers[0].value &= ~1
            return nil
        },
        .init(.amd, .amdDTEReserved, "a reserved bit", device: second, edit: flip(4) { $0.deviceEntry(second) }),
        .init(.amd, .amdDTEMode, "the reserved mode", device: second, edit: flip(1 << 9) { $0.deviceEntry(second) }),
        .init(
            .amd, .amdDTEMode, "fewer levels than the tables have", device: second,
            edit: flip(4 << 9) { $0.deviceEntry(second) }),
        .init(.amd, .amdDTEGuest, "the reserved GLX", device: first, edit: flip(2 << 56) { $0.deviceEntry(first) }),
        .init(
            .amd, .amdDTETranslationInvalid, "V without TV", severity: .warning, device: second,
            edit: flip(2) { $0.deviceEntry(second) }),
        .init(.amd, .amdGCR3Unreachable, "a table outside memory", device: first) {
            $0.enter(
                first, AMDDeviceTableEntry(v2GCR3Root: PhysicalAddress(0x77_7000_0000), glx: 1, domainID: 6))
            try $0.record()
            return $0.deviceEntry(first)
        },
        .init(.amd, .lookupPageUnknown, "a GCR3 table that is not recorded", device: first) {
            $0.enter(
                first, AMDDeviceTableEntry(v2GCR3Root: PhysicalAddress(PASIDMachine.fileBase), glx: 1, domainID: 6))
            try $0.record()
            return $0.deviceEntry(first)
        },
        .init(
            .amd, .amdGCR3Reserved, "a reserved bit", device: first, pasid: 1, edit: flip(8) { $0.entry(first, 1) }),
        .init(.amd, .cacheTagCollision, "a nested parent under another's DomainID", device: nesting, pasid: 100) {
            let place = word(1, $0.deviceEntry(nesting))
            $0.write($0.read(place) & ~0xffff | 5, place)
            $0.snapshot.attachments[$0.attachment(nesting, 100)].cacheTag = 5
            try $0.record()
            return place
        },
        .init(.amd, .attachmentEntryDiffers, "everything passes", device: second) {
            let place = $0.deviceEntry(second)
            $0.write([0, 0], place)
            try $0.record()
            return place
        },
        .init(.amd, .attachmentEntryDiffers, "a blocked entry", device: second) {
            $0.enter(second, .blocked)
            try $0.record()
            return $0.deviceEntry(second)
        },
        .init(.amd, .attachmentEntryDiffers, "another tag", device: first, pasid: 64) {
            $0.snapshot.attachments[$0.attachment(first, 64)].cachePASID = PASID(1)
            return word(1, $0.deviceEntry(first))
        },
        .init(.amd, .attachmentEntryDiffers, "host tables that are not the parent's", device: nesting, pasid: 100) {
            // The same tables below another root.
            let (old, root) = ($0.roots[5]!, $0.frame())
            for index in UInt64(0)..<512 {
                $0.write($0.read(word(index, old)), word(index, root))
                $0.write(0, word(index, old))
            }
            var entry = AMDDeviceTableEntry(v1Root: root, mode: 4, domainID: 8)
            entry.setGuest(gcr3Root: $0.directories[nesting]!, glx: 1, giov: true)
            $0.enter(nesting, entry)
            $0.snapshot.ioases[3].areaOrigin = .derived
            $0.roots[5] = root
            try $0.record(guest: [old])
            return $0.deviceEntry(nesting)
        },
        .init(.amd, .unpreservedEntryLeft, "a device of which everything passes", device: second) {
            $0.snapshot.devices[1].preserved = false
            $0.write([0, 0], $0.deviceEntry(second))
            try $0.record()
            return $0.deviceEntry(second)
        },
        .init(
            .amd, .guestTableUnmapped, "a guest's root beyond its memory", severity: .warning, device: nesting,
            pasid: 100
        ) {
            let place = $0.entry(nesting, 100)
            $0.write(AMDGCR3Entry(pointer: PhysicalAddress(0x10000)).rawValue, place)
            $0.snapshot.domainUnits[3].tables?.root = PhysicalAddress(0x10000)
            try $0.record()
            return place
        },
    ]
}
