import Glibc

/// Asks the kernel for huge pages: each fresh page of 4 KiB costs more than reading what goes into it.
enum HugePages {
    private static let byteCount = 2 << 20

    /// For the whole huge pages in `memory`, which nothing was written to yet. No more than advice.
    static func advise(_ memory: UnsafeMutableRawBufferPointer) {
        guard let base = memory.baseAddress, memory.count >= 2 * byteCount else { return }
        let start = base.alignedUp(toMultipleOf: byteCount)
        let count = (memory.count - (start - base)) & ~(byteCount - 1)
        madvise(start, count, MADV_HUGEPAGE)
    }
}
