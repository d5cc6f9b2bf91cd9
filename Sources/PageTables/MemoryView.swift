import IOMMUModel

#if _endian(big)
    #error("table words are little-endian and are read in place")
#endif

/// Physical memory as plain pointers, for hot loops: no reference counting, no allocation.
///
/// The largest segment is tried first (one subtraction and one comparison), the others by binary search. A view is
/// valid as long as the ``PhysicalMemory`` it came from lives and no segment is added to it.
public struct MemoryView: @unchecked Sendable {
    /// One run of bytes that are present.
    struct Segment {
        /// Physical address of the first byte.
        var base: UInt64
        /// Bytes, at least 1.
        var byteCount: UInt64
        var pointer: UnsafeMutableRawPointer
    }

    private let base: UInt64
    /// Offsets below this one begin a whole page (4,096 bytes) in the largest segment.
    private let pageLimit: UInt64
    /// The pointer to the largest segment less ``base``.
    private let bias: UInt
    private let segments: UnsafePointer<Segment>
    private let count: Int

    /// `segments` must be sorted, not overlapping, at least one, and stay where they are.
    init(segments: UnsafePointer<Segment>, count: Int, primary: Int) {
        let primary = segments[primary]
        self.base = primary.base
        self.pageLimit = primary.byteCount >= 4096 ? primary.byteCount - 4095 : 0
        self.bias = UInt(bitPattern: primary.pointer) &- UInt(truncatingIfNeeded: primary.base)
        self.segments = segments
        self.count = count
    }

    /// The 512 words of the 4 KiB page that begins at `base` (4 KiB aligned), or `nil` when it is not wholly present.
    @inline(__always)
    func words(ofPage base: UInt64) -> UnsafeMutablePointer<UInt64>? {
        if isPrimary(base) { return primaryWords(ofPage: base) }
        return search(base, bytes: 4096)?.assumingMemoryBound(to: UInt64.self)
    }

    /// True when the page at `base` is wholly in the largest segment: no call in the way of a hot loop.
    @inline(__always)
    func isPrimary(_ base: UInt64) -> Bool { base &- self.base < pageLimit }

    /// As ``words(ofPage:)`` for a page that ``isPrimary(_:)``. No optional: a hot loop would ask for `nil` again.
    @inline(__always)
    func primaryWords(ofPage base: UInt64) -> UnsafeMutablePointer<UInt64> {
        // Not `pointer + offset`: the sum waits for the page's address only, not for the offset first.
        UnsafeMutablePointer(bitPattern: bias &+ UInt(truncatingIfNeeded: base)).unsafelyUnwrapped
    }

    /// Where the `bytes` bytes at `address` are, or `nil` when they are not all in one segment.
    @inline(never)
    private func search(_ address: UInt64, bytes: UInt64) -> UnsafeMutableRawPointer? {
        var low = 0
        var high = count
        while low < high {
            let middle = (low &+ high) &>> 1
            if segments[middle].base <= address { low = middle &+ 1 } else { high = middle }
        }
        guard low > 0 else { return nil }
        let segment = segments[low &- 1]
        let offset = address &- segment.base
        guard offset < segment.byteCount, segment.byteCount &- offset >= bytes else { return nil }
        return segment.pointer + Int(truncatingIfNeeded: offset)
    }

    /// The 512 words of the 4 KiB page that `address` lies in, or `nil` when it is not wholly present (unknown, which
    /// is neither zero nor a fault).
    public func page(at address: PhysicalAddress) -> UnsafeMutablePointer<UInt64>? {
        words(ofPage: address.pageBase.rawValue)
    }

    /// The first 4 KiB page of `range` (4 KiB aligned) that is not wholly present, or `nil`.
    func firstMissingPage(in range: PhysicalRange) -> PhysicalAddress? {
        if let count = range.byteCount, search(range.first.rawValue, bytes: count) != nil { return nil }
        var page = range.first.rawValue
        while words(ofPage: page) != nil {
            if page | 0xfff == range.last.rawValue { return nil }
            page += 4096
        }
        return PhysicalAddress(page)
    }

    /// The little-endian word at `address`, or `nil` when it is not present or `address` is not 8-byte aligned.
    public func word(at address: PhysicalAddress) -> UInt64? {
        guard address.isAligned(toLog2: 3) else { return nil }
        return search(address.rawValue, bytes: 8)?.load(as: UInt64.self)
    }

    /// Writes the little-endian word at `address`; false (and nothing written) when it is not present or `address` is
    /// not 8-byte aligned.
    public func setWord(_ value: UInt64, at address: PhysicalAddress) -> Bool {
        guard address.isAligned(toLog2: 3), let place = search(address.rawValue, bytes: 8) else { return false }
        place.storeBytes(of: value, as: UInt64.self)
        return true
    }
}
