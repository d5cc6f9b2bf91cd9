import IOMMUModel

/// The bits of a configuration that the inner loops need.
struct EntryRules: Sendable, Hashable {
    /// The bits of a word that may hold an address.
    var addressMask: UInt64
    /// Bits that must be 0 in a table entry.
    var tableReserved: UInt64
    /// Bits that must be 0 in a leaf, whatever its size; of Armv8's access flag: that must be 1.
    var leafReserved: UInt64
    /// Bit `k`: leaves of `2^k` bytes exist.
    var pageSizes: UInt64
    /// The addresses that may be written into an entry: below the host address width, and below the C-bit.
    var encodable: UInt64
    /// The C-bit, or 0.
    var encryption: UInt64 = 0
    /// The rights that the way begins with.
    var rootRights: UInt8 = EntryRights.all

    /// ``pageSizes`` that take one slot and whose level the tree has.
    var singleSizes: UInt64 = 0
    /// Half of the input space when it is sign-extended, otherwise 0.
    var bias: UInt64 = 0
    /// Bits that must be 0 in an input address plus ``bias``.
    var beyond: UInt64 = 0

    /// The input addresses of a tree whose root is at `topLevel`.
    mutating func setShape(topLevel: Int, addressBits: Int, signExtended: Bool) {
        beyond = addressBits == 64 ? 0 : ~0 &<< UInt64(addressBits)
        bias = signExtended ? 1 &<< UInt64(addressBits - 1) : 0
        singleSizes = 0
        for level in 0...topLevel { singleSizes |= pageSizes & 1 &<< UInt64(12 + 9 * level) }
    }

    /// True when a leaf at `level` exists that is as large as a table slot there.
    @inline(__always)
    func hasLeaves(atLevel level: Int) -> Bool {
        pageSizes &>> UInt64(truncatingIfNeeded: 12 &+ 9 &* level) & 1 == 1
    }

    /// The ``pageSizes`` that stand in tables of `level`.
    @inline(__always)
    func leafSizes(atLevel level: Int) -> UInt64 { pageSizes & Self.sizes(atLevel: level) }

    /// The sizes from a slot of a table of `level` to half of that table.
    @inline(__always)
    static func sizes(atLevel level: Int) -> UInt64 { 0x1ff &<< UInt64(truncatingIfNeeded: 12 &+ 9 &* level) }

    /// True when `iova` is an input address.
    @inline(__always)
    func contains(_ iova: UInt64) -> Bool { (iova &+ bias) & beyond == 0 }

    /// The last address up to which addresses grow from `address` without a bit that is none of theirs.
    func lastAddress(from address: UInt64) -> UInt64 {
        encryption == 0 ? addressMask : (address | (encryption &- 1)) & addressMask
    }

    /// The fault of an access to `iova`, which is no input address.
    var rangeFault: TranslationFault { bias == 0 ? .vaOutOfRange : .nonCanonical }

    /// The last linear address: input addresses without their sign bits are `0...lastLinear`, in the same order.
    var lastLinear: UInt64 { ~beyond }

    /// The last linear address of the input range, or half of it, that `linear` is in.
    func lastLinear(ofRangeAt linear: UInt64) -> UInt64 { linear < bias ? bias - 1 : lastLinear }

    /// The linear address of `iova`, an input address.
    @inline(__always)
    func linear(_ iova: UInt64) -> UInt64 { iova & ~beyond }

    /// The input address of a linear one.
    @inline(__always)
    func iova(_ linear: UInt64) -> IOVA { IOVA((linear ^ bias) &- bias) }

    /// The bits of an input address that the levels between an entry's own and its next one would index.
    @inline(__always)
    static func skippedBits(from level: Int, to next: Int) -> UInt64 {
        (1 &<< UInt64(truncatingIfNeeded: 12 &+ 9 &* level)) &- (1 &<< UInt64(truncatingIfNeeded: 21 &+ 9 &* next))
    }
}
