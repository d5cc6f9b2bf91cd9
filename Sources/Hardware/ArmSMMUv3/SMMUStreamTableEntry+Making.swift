import IOMMUModel
import PageTables

/// Entries as Linux writes them.
extension SMMUStreamTableEntry {
    /// All eight words.
    public var words: [UInt64] { [word0, word1, word2, word3, 0, 0, 0, 0] }

    /// Valid, and aborts every transaction.
    public static let aborting = SMMUStreamTableEntry(word0: 1)

    /// Every transaction passes unchanged, with its own attributes (SHCFG 1). The unit does not look at the VMID then.
    public init(bypassWith vmid: UInt16) {
        self.init(word0: 1 | 4 << 1, word1: 1 << 44, word2: UInt64(vmid))
    }

    /// Transactions go through the tables of `stage`: write-back cached and inner shareable walks, faults recorded and ended.
    /// `nil` when no entry can say it.
    ///
    /// - Parameter setsAccessFlag: S2HA.
    public init?(stage2 stage: TranslationStage, vmid: UInt16, setsAccessFlag: Bool) {
        let shape = stage.configuration
        guard shape.format == .armv8Stage2, stage.root.isAligned(toLog2: 12),
            // The unit's own size is a limit beside it.
            let output = (0..<7 as Range<UInt64>).first(where: {
                SMMURegisters.addressBits($0) ?? 0 >= shape.hostAddressWidth
            })
        else { return nil }
        let fields: [(BitField, UInt64)] = [
            (Self.s2T0SZ, UInt64(64 - shape.addressBits)), (Self.s2SL0, UInt64(shape.topLevel - 1)),
            (Self.s2PS, output),
            (Self.s2AA64, 1), (Self.s2HA, setsAccessFlag ? 1 : 0), (Self.s2R, 1),
        ]
        // S2IR0, S2OR0 and S2SH0; S2PTW.
        var word2 = UInt64(vmid) | 1 << 40 | 1 << 42 | 3 << 44 | 1 << 54
        for (field, value) in fields { word2 |= field.encoded(value) }
        self.init(word0: 1 | 6 << 1, word2: word2, word3: stage.root.rawValue)
    }
}

extension SMMUStreamTableDescriptor {
    /// Leads to an array of `2^entriesLog2` entries, which is aligned to its size.
    public init(array: PhysicalAddress, entriesLog2: Int) {
        self.init(rawValue: array.rawValue | UInt64(entriesLog2 + 1))
    }
}
