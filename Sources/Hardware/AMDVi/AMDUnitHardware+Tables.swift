import IOMMUModel
import PageTables

/// The shapes of tables.
extension AMDUnitHardware {
    /// v1 tables with their root at `topLevel` (0 to 5) and the rights of a device table entry.
    func hostConfiguration(topLevel: Int, protection: Protection, accessedDirty: Bool) -> PageTableConfiguration? {
        let levels = registers.hostLevels
        guard topLevel >= 0, topLevel < levels else { return nil }
        return PageTableConfiguration(
            format: .amdV1, topLevel: topLevel, maximumAddressBits: min(64, 12 + 9 * levels),
            hostAddressWidth: registers.hostAddressWidth, encryptionBit: registers.encryptionBit,
            rootProtection: protection, accessedDirty: accessedDirty)
    }

    /// v2 tables with their root at `topLevel` (3 or 4).
    ///
    /// Nested ones hold addresses of the guest: these have no C-bit, and no width but the format's. XD is never a
    /// reserved bit: a processor's tables, which the unit may share, have it without asking the unit.
    func guestConfiguration(
        topLevel: Int, signExtended: Bool, protection: Protection, nested: Bool
    ) -> PageTableConfiguration? {
        guard topLevel >= 3, topLevel < registers.guestLevels else { return nil }
        let reach = 12 + 9 * (topLevel + 1)
        return PageTableConfiguration(
            format: .x86_64, topLevel: topLevel, addressBits: signExtended ? reach : reach - 1,
            hostAddressWidth: nested ? 52 : registers.hostAddressWidth, noExecute: true, signExtended: signExtended,
            encryptionBit: nested ? nil : registers.encryptionBit, rootProtection: protection,
            accessedDirty: updatesAccessedDirty && registers.control?.guestAccessedDirty != false)
    }
}
