import IOMMUModel

/// Why the hardware refuses an access, or what it cannot know. Raw values are the names of the conformance vectors.
public enum TranslationFault: String, Sendable, Hashable, CaseIterable {
    /// An entry on the way maps nothing.
    case notPresent
    /// The rights of all entries on the way, ANDed, do not allow a read.
    case permissionRead
    /// The rights of all entries on the way, ANDed, do not allow a write.
    case permissionWrite
    /// A present entry has a reserved bit set.
    case reservedBits
    /// The input address is wider than the tables translate.
    case vaOutOfRange
    /// The vectors' name for ``TranslationResult/absent(page:level:)``; ``Walker`` never reports it as a fault.
    case pointerOutsideMemory
}

/// A successful translation.
public struct Translation: Sendable, Hashable {
    /// The address that the access reaches.
    public let pa: PhysicalAddress
    /// The leaf maps `2^pageSizeLog2` bytes.
    public let pageSizeLog2: Int
    /// The leaf's level.
    public let level: Int
    /// The rights of all entries on the way, ANDed.
    public let protection: Protection
    /// Where the leaf's word is.
    public let entryAddress: PhysicalAddress
}

/// What a walk ended in.
public enum TranslationResult: Sendable, Hashable {
    /// The access reaches memory.
    case translated(Translation)
    /// The hardware refuses. `level` and `entryAddress` are of the entry at fault (permissions: the leaf); both are
    /// `nil` for ``TranslationFault/vaOutOfRange``.
    case fault(TranslationFault, level: Int?, entryAddress: PhysicalAddress?)
    /// The table page needed next is not in memory: unknown, not a fault. `level` is the missing table's.
    case absent(page: PhysicalAddress, level: Int)

    /// The translation, or `nil`.
    public var translation: Translation? {
        if case .translated(let translation) = self { translation } else { nil }
    }
}
