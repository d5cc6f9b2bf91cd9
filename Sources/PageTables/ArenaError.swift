import IOMMUModel

/// Why an arena could not be made.
public enum ArenaError: Error, Sendable, Hashable, CustomStringConvertible {
    /// A range that does not begin and end on a 4 KiB boundary.
    case misaligned(PhysicalRange)
    /// A range that shares a frame with an earlier one.
    case overlap(PhysicalRange, with: PhysicalRange)
    /// A frame that is not in memory.
    case notInMemory(PhysicalAddress)
    /// More frames than an arena numbers (2^31 - 1).
    case tooManyFrames
    /// A recorded state that no arena wrote; the index of the value at fault.
    case malformedState(index: Int)

    /// One line.
    public var description: String {
        switch self {
        case .misaligned(let range): "range \(range) is not made of 4 KiB frames"
        case .overlap(let range, let other): "range \(range) overlaps \(other)"
        case .notInMemory(let frame): "frame \(frame) is not in memory"
        case .tooManyFrames: "more than 2^31 - 1 frames"
        case .malformedState(let index): "arena state is malformed at value \(index)"
        }
    }
}
