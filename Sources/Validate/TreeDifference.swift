import IOMMUModel

/// The first place where two trees of page tables do not translate alike.
public struct TreeDifference: Sendable, Hashable {
    /// How the two trees differ.
    public enum What: Sendable, Hashable {
        /// Only the first tree maps it.
        case onlyInFirst(PhysicalAddress, Protection)
        /// Only the second tree maps it.
        case onlyInSecond(PhysicalAddress, Protection)
        /// The first IOVA goes to two addresses.
        case address(first: PhysicalAddress, second: PhysicalAddress)
        /// The rights are not the same.
        case protection(first: Protection, second: Protection)
        /// Leaf sizes, as log2 of bytes; only when they are asked for.
        case pageSize(first: Int, second: Int)
    }

    /// The IOVAs over which it holds, at least; addresses in ``what`` belong to the first one.
    public var range: IOVARange
    /// How they differ there.
    public var what: What
}

extension TreeDifference: CustomStringConvertible {
    /// One line: the range, then what each tree makes of it.
    public var description: String {
        let text =
            switch what {
            case .onlyInFirst(let pa, let protection): "only the first maps it, to \(pa) (\(protection))"
            case .onlyInSecond(let pa, let protection): "only the second maps it, to \(pa) (\(protection))"
            case .address(let first, let second): "maps to \(first) in the first, to \(second) in the second"
            case .protection(let first, let second): "is mapped \(first) in the first, \(second) in the second"
            case .pageSize(let first, let second):
                "has leaves of 2^\(first) bytes in the first, 2^\(second) in the second"
            }
        return "\(range) \(text)"
    }
}
