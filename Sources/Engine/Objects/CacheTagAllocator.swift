import IOMMUModel

/// The cache tags of one unit (VT-d: domain identifiers, DID).
///
/// Tags of a former kernel are reserved exactly, before anything else is allocated (lifecycle.md, "cache tags"); a tag
/// that is in use or reserved is never handed out. Allocation takes the lowest free tag, so equal histories give equal
/// tags.
struct CacheTagAllocator: Sendable, Hashable {
    /// Tags are 0 to `capacity - 1` (VT-d: `2^(4 + 2 * CAP.ND)`).
    let capacity: UInt32
    /// Tags below this are never handed out: 1 on VT-d, where 0 is reserved in caching mode (VT-d 6.2.1).
    let firstAllocatable: UInt32
    /// Set once a tag was allocated: exact reservations come too late from then on.
    private(set) var hasAllocated = false
    private var words: [UInt64]
    /// No free tag lies below.
    private var hint: UInt32

    init(capacity: UInt32, firstAllocatable: UInt32 = 1) {
        precondition(capacity > firstAllocatable)
        self.capacity = capacity
        self.firstAllocatable = firstAllocatable
        words = Array(repeating: 0, count: Int((capacity + 63) / 64))
        hint = firstAllocatable
    }

    /// True while `tag` is allocated or reserved.
    func isInUse(_ tag: UInt32) -> Bool {
        tag < capacity && words[Int(tag / 64)] & (1 &<< UInt64(tag % 64)) != 0
    }

    /// Takes exactly `tag`.
    ///
    /// - Throws: `EINVAL` for a tag that the unit does not have, `EEXIST` when it is taken, `EBUSY` after the first
    ///   ``allocate()``.
    mutating func reserve(_ tag: UInt32) throws(Errno) {
        guard !hasAllocated else { throw .EBUSY }
        guard tag < capacity else { throw .EINVAL }
        guard !isInUse(tag) else { throw .EEXIST }
        words[Int(tag / 64)] |= 1 &<< UInt64(tag % 64)
    }

    /// Takes the lowest free tag.
    ///
    /// - Throws: `ENOSPC` when none is left.
    mutating func allocate() throws(Errno) -> UInt32 {
        var tag = hint
        while tag < capacity {
            let free = ~words[Int(tag / 64)] & (UInt64.max &<< UInt64(tag % 64))
            if free != 0 {
                tag = tag / 64 * 64 + UInt32(free.trailingZeroBitCount)
                guard tag < capacity else { break }
                words[Int(tag / 64)] |= 1 &<< UInt64(tag % 64)
                hint = tag + 1
                hasAllocated = true
                return tag
            }
            tag = (tag / 64 + 1) * 64
        }
        throw .ENOSPC
    }

    /// Gives `tag` back; it must be in use.
    mutating func free(_ tag: UInt32) {
        precondition(isInUse(tag), "tag \(tag) is not in use")
        words[Int(tag / 64)] &= ~(1 &<< UInt64(tag % 64))
        hint = min(hint, max(tag, firstAllocatable))
    }

    /// Every tag in use, ascending.
    var inUse: [UInt32] {
        var result: [UInt32] = []
        for (index, word) in words.enumerated() {
            var rest = word
            while rest != 0 {
                result.append(UInt32(index * 64 + rest.trailingZeroBitCount))
                rest &= rest &- 1
            }
        }
        return result
    }
}
