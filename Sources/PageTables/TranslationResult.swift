import IOMMUModel

/// Why the hardware refuses an access, or what it cannot know. Raw values are the names of the conformance vectors.
public enum TranslationFault: String, Sendable, Hashable, CaseIterable {
    /// An entry on the way maps nothing.
    case notPresent
    /// The rights of all entries on the way, ANDed, do not allow a read.
    case permissionRead
    /// The rights of all entries on the way, ANDed, do not allow a write.
    case permissionWrite
    /// The rights of all entries on the way, ANDed, do not allow an instruction fetch (x86-64: XD).
    case permissionExec
    /// An entry on the way is a supervisor's (x86-64: U/S is 0); requests of a device are a user's.
    case permissionUser
    /// A present entry has a reserved bit set.
    case reservedBits
    /// A present entry names a next level that is not below its own (AMD v1).
    case invalidLevel
    /// A present entry has a size code that no leaf of its level can have (AMD v1).
    case invalidPageSize
    /// A leaf in a table of the sixth level (AMD v1).
    case leafNotAllowed
    /// A descriptor whose type its level has not (Armv8: Translation fault).
    case invalidEncoding
    /// An output address above the output size (Armv8: Address size fault).
    case addressSize
    /// A leaf's access flag is clear, and the unit does not set it (Armv8: Access flag fault).
    case accessFlag
    /// An entry skips levels, and the input address is not 0 in the bits that those would index (AMD v1).
    case skippedLevelBits
    /// The input address is wider than the tables translate.
    case vaOutOfRange
    /// The input address is not sign-extended from the width that the tables translate.
    case nonCanonical
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
    /// The rights of all entries on the way, ANDed: ``EntryRights``.
    let rights: UInt8
    /// Where the leaf's word is.
    public let entryAddress: PhysicalAddress

    /// Read and write, by all entries on the way, ANDed.
    public var protection: Protection { EntryRights.protection(rights) }
    /// True unless an entry on the way forbids instruction fetches (x86-64: XD).
    public var isExecutable: Bool { rights & EntryRights.execute != 0 }
}

/// What a walk ended in.
public enum TranslationResult: Sendable, Hashable {
    /// The access reaches memory.
    case translated(Translation)
    /// The hardware refuses. `level` and `entryAddress` are of the entry at fault (permissions: the leaf); both are
    /// `nil` for ``TranslationFault/vaOutOfRange`` and ``TranslationFault/nonCanonical``.
    case fault(TranslationFault, level: Int?, entryAddress: PhysicalAddress?)
    /// The table page needed next is not in memory: unknown, not a fault. `level` is the missing table's.
    case absent(page: PhysicalAddress, level: Int)

    /// The translation, or `nil`.
    public var translation: Translation? {
        if case .translated(let translation) = self { translation } else { nil }
    }
}
