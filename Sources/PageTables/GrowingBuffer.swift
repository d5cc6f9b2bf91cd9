import Glibc

/// A list that grows in place as far as the host can: an array would copy itself, and touch twice the memory.
struct GrowingBuffer<Element: BitwiseCopyable>: ~Copyable {
    private(set) var base: UnsafeMutablePointer<Element>
    private(set) var count = 0
    private var capacity: Int

    init() {
        capacity = 64
        base = Self.memory(nil, capacity)
    }

    deinit { free(base) }

    private static func memory(_ old: UnsafeMutablePointer<Element>?, _ capacity: Int) -> UnsafeMutablePointer<Element>
    {
        guard let memory = realloc(old, capacity * MemoryLayout<Element>.stride) else {
            preconditionFailure("out of host memory")
        }
        return memory.assumingMemoryBound(to: Element.self)
    }

    /// `index` must be below ``count``.
    @inline(__always)
    subscript(index: Int) -> Element {
        get { base[index] }
        nonmutating set { base[index] = newValue }
    }

    /// Makes room for `number` elements behind the last one; they are there once ``count`` has grown.
    @inline(__always)
    mutating func reserve(_ number: Int) -> UnsafeMutablePointer<Element> {
        if count &+ number > capacity { grow(number) }
        return base + count
    }

    @inline(never)
    private mutating func grow(_ number: Int) {
        // What is not written takes no memory, but what was copied has taken it twice.
        let old = capacity * MemoryLayout<Element>.stride
        let factor = old < Self.hugeBytes / 4 ? 4 : old <= Self.hugeBytes * 8 ? 16 : 2
        capacity = max(capacity * factor, count + number)
        let byteCount = capacity * MemoryLayout<Element>.stride
        guard byteCount >= Self.hugeBytes else {
            base = Self.memory(base, capacity)
            return
        }
        // In huge pages where the host has them: each fresh page of 4 KiB costs as much as decoding several tables.
        var memory: UnsafeMutableRawPointer?
        guard posix_memalign(&memory, Self.hugeBytes, byteCount) == 0, let memory else {
            preconditionFailure("out of host memory")
        }
        madvise(memory, byteCount, MADV_HUGEPAGE)
        let larger = memory.assumingMemoryBound(to: Element.self)
        larger.update(from: base, count: count)
        free(base)
        base = larger
    }

    private static var hugeBytes: Int { 2 << 20 }

    /// Says that `number` elements were written into the room behind the last one.
    @inline(__always)
    mutating func add(_ number: Int) { count &+= number }

    @inline(__always)
    mutating func append(_ element: Element) {
        reserve(1).pointee = element
        count &+= 1
    }

    /// The same elements, for good.
    consuming func frozen() -> FrozenBuffer<Element> {
        let result = FrozenBuffer(UnsafeBufferPointer(start: base, count: count))
        discard self
        return result
    }
}
