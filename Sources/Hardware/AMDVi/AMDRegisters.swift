/// The registers of one unit that decide how it reads its structures.
public struct AMDRegisters: Sendable, Hashable {
    /// The Device Table Base Address Register, MMIO offset 0x00.
    public var deviceTableBase: UInt64
    /// Width of system physical addresses in bits, 32 to 52.
    public var hostAddressWidth: Int
    /// SME's C-bit; `nil` without memory encryption.
    public var encryptionBit: Int?
}
