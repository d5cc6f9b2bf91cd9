import IOMMUModel
import PageTables

/// The oracle of the mapper: a sorted list of leaves, each chosen by trying every size.
struct LeafOracle {
    private(set) var leaves: [TestDomain.Leaf] = []
    private let shape: Shape
    /// Logarithms, ascending.
    private let sizes: [Int]

    init(_ shape: Shape) {
        self.shape = shape
        sizes = shape.sizes
    }

    /// The first leaf that ends at or after `iova`.
    private func position(_ iova: UInt64) -> Int {
        var low = 0
        var high = leaves.count
        while low < high {
            let middle = (low + high) / 2
            if leaves[middle].last < iova { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func leaf(at iova: UInt64) -> TestDomain.Leaf? {
        let position = position(iova)
        return position < leaves.count && leaves[position].iova <= iova ? leaves[position] : nil
    }

    /// The first mapped address in the range, or `nil`.
    func firstMapped(_ first: UInt64, _ last: UInt64) -> UInt64? {
        let position = position(first)
        return position < leaves.count && leaves[position].iova <= last ? max(first, leaves[position].iova) : nil
    }

    mutating func map(_ iova: UInt64, _ pa: UInt64, _ bytes: UInt64, _ protection: Protection) {
        var new: [TestDomain.Leaf] = []
        var offset: UInt64 = 0
        while offset < bytes {
            let log2 = sizes.last {
                let size: UInt64 = 1 << UInt64($0)
                return (iova + offset) % size == 0 && (pa + offset) % size == 0 && size <= bytes - offset
            }!
            new.append(.init(iova: iova + offset, log2: log2, pa: pa + offset, protection: shape.effective(protection)))
            offset += 1 << UInt64(log2)
        }
        leaves.insert(contentsOf: new, at: position(iova))
    }

    /// Removes every leaf that is at least partly in the range; the bytes removed.
    mutating func unmap(_ first: UInt64, _ last: UInt64) -> UInt64 {
        let from = position(first)
        var to = from
        var bytes: UInt64 = 0
        while to < leaves.count, leaves[to].iova <= last {
            bytes += 1 << UInt64(leaves[to].log2)
            to += 1
        }
        leaves.removeSubrange(from..<to)
        return bytes
    }
}
