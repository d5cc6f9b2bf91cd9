import IOMMUModel

/// The registers of one unit that decide how it reads its structures, and what no register says.
public struct AMDRegisters: Sendable, Hashable {
    /// Device Table Base Address Register.
    public var deviceTableBase: AMDDeviceTableBase
    /// Control Register; `nil` when unknown: translation, guest translation and GCR3TRPMode count as on (a dump of the
    /// tables is taken from a machine that used them).
    public var control: AMDControl?
    /// Extended Feature Register; `nil` when the unit has none or it is unknown: v1 tables of up to six levels, no guest
    /// translation, no accessed and dirty bits (the features that the register would have to announce).
    public var features: AMDExtendedFeatures?
    /// Width of system physical addresses in bits (IVRS), 32 to 52.
    public var hostAddressWidth: Int
    /// SME's C-bit, 32 to 51; `nil` without memory encryption. No register says it.
    public var encryptionBit: Int?

    /// All as given; an `encryptionBit` outside 32...51 is taken as none, nothing else is checked.
    public init(
        deviceTableBase: AMDDeviceTableBase, control: AMDControl? = nil, features: AMDExtendedFeatures? = nil,
        hostAddressWidth: Int, encryptionBit: Int? = nil
    ) {
        self.deviceTableBase = deviceTableBase
        self.control = control
        self.features = features
        self.hostAddressWidth = hostAddressWidth
        self.encryptionBit = encryptionBit.flatMap { (32...51).contains($0) ? $0 : nil }
    }

    /// The names under which the registers stand in a meta file and in a unit's record.
    public enum Name {
        /// Device Table Base Address Register, offset 0x00.
        public static let deviceTableBase = "devtab"
        /// Control Register, offset 0x18.
        public static let control = "control"
        /// Extended Feature Register, offset 0x30.
        public static let features = "efr"
    }

    /// The device table, 4 KiB aligned, without the C-bit.
    public var deviceTable: PhysicalAddress { withoutEncryption(deviceTableBase.table) }

    /// `address` without the C-bit.
    func withoutEncryption(_ address: PhysicalAddress) -> PhysicalAddress {
        guard let encryptionBit else { return address }
        return PhysicalAddress(address.rawValue & ~(1 << UInt64(encryptionBit)))
    }

    /// Levels that v1 tables may have, 4 to 6; 0 for a unit without host translation.
    var hostLevels: Int { features?.hostLevels ?? 6 }

    /// Levels that v2 tables may have, 4 or 5; 0 without guest translation.
    var guestLevels: Int {
        control?.guestTranslationEnabled == false ? 0 : features?.guestLevels ?? 0
    }
}
