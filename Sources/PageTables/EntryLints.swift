/// What is suspicious about one table word although no access faults by it.
public struct EntryLints: OptionSet, Sendable, Hashable {
    /// One bit each, in the order of the constants.
    public let rawValue: UInt8
    /// Any 8 bits; those above bit 6 mean nothing.
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    /// Nothing is mapped, yet the word is not 0.
    public static let nonZeroNotPresent = EntryLints(rawValue: 1)
    /// The address of a large leaf is no multiple of its size; the hardware ignores the low bits (AMD v1).
    public static let misaligned = EntryLints(rawValue: 2)
    /// A leaf of 512 GiB: an erratum of the hardware (AMD v1).
    public static let erratum512G = EntryLints(rawValue: 4)
    /// Bits are set that neither the hardware nor a known driver uses (AMD v1).
    public static let ignoredBitsSet = EntryLints(rawValue: 8)
    /// A present leaf that grants neither read nor write (AMD v1).
    public static let noAccess = EntryLints(rawValue: 16)
    /// Bits that are to be zero are set; the hardware ignores them (Armv8).
    public static let res0Bits = EntryLints(rawValue: 32)
    /// An item of a contiguous leaf whose address is not that of its place (Armv8).
    public static let contiguousMisaligned = EntryLints(rawValue: 64)

    /// The names of the conformance vectors, in the order of the constants.
    public var names: [String] {
        let all = [
            "nonZeroNotPresent", "misaligned", "erratum512G", "ignoredBitsSet", "noAccess", "res0Bits",
            "contigMisaligned",
        ]
        return all.indices.filter { rawValue >> UInt8($0) & 1 == 1 }.map { all[$0] }
    }
}
