import IOMMUModel

/// The registers of one unit that decide how it reads its structures.
public struct VTDRegisters: Sendable, Hashable {
    /// RTADDR_REG.
    public var rootTableAddress: VTDRootTableAddress
    /// CAP_REG.
    public var capability: VTDCapability
    /// ECAP_REG.
    public var extendedCapability: VTDExtendedCapability
    /// GSTS_REG.
    public var globalStatus: VTDGlobalStatus
    /// The host address width in bits (DMAR), 12 to 52.
    public var hostAddressWidth: Int

    /// All as given; nothing is checked.
    public init(
        rootTableAddress: VTDRootTableAddress, capability: VTDCapability, extendedCapability: VTDExtendedCapability,
        globalStatus: VTDGlobalStatus, hostAddressWidth: Int
    ) {
        self.rootTableAddress = rootTableAddress
        self.capability = capability
        self.extendedCapability = extendedCapability
        self.globalStatus = globalStatus
        self.hostAddressWidth = hostAddressWidth
    }

    /// The names under which the registers stand in a meta file and in a unit's record.
    public enum Name {
        /// RTADDR_REG, offset 0x20.
        public static let rootTableAddress = "rtaddr"
        /// CAP_REG, offset 0x08.
        public static let capability = "cap"
        /// ECAP_REG, offset 0x10.
        public static let extendedCapability = "ecap"
        /// GSTS_REG, offset 0x1C.
        public static let globalStatus = "gsts"
    }

    /// Why registers by name are not enough.
    public struct Missing: Error, Sendable, Hashable {
        /// The first one missing, by its ``VTDRegisters/Name``.
        public var name: String
    }

    /// Registers by name, as a unit's record holds them. `rtaddr`, `cap` and `ecap` are needed; without `gsts`
    /// translation counts as on (a dump of the tables is taken from a machine that used them).
    public init(hostAddressWidth: Int, named value: (String) -> UInt64?) throws(Missing) {
        func needed(_ name: String) throws(Missing) -> UInt64 {
            guard let found = value(name) else { throw Missing(name: name) }
            return found
        }
        self.init(
            rootTableAddress: VTDRootTableAddress(rawValue: try needed(Name.rootTableAddress)),
            capability: VTDCapability(rawValue: try needed(Name.capability)),
            extendedCapability: VTDExtendedCapability(rawValue: try needed(Name.extendedCapability)),
            globalStatus: value(Name.globalStatus).map { VTDGlobalStatus(rawValue: $0) }
                ?? VTDGlobalStatus(translationEnabled: true),
            hostAddressWidth: hostAddressWidth)
    }
}
