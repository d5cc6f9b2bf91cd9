import IOMMUModel

/// One translated range: `range.first` goes to `physical`, and so on byte by byte.
package struct ExpectedRun: Sendable, Hashable {
    package var range: IOVARange
    var physical: PhysicalAddress
    package var protection: Protection

    package init(range: IOVARange, physical: PhysicalAddress, protection: Protection) {
        self.range = range
        self.physical = physical
        self.protection = protection
    }

    /// What `range.first` of a part of the run goes to.
    package func physical(at iova: IOVA) -> PhysicalAddress {
        PhysicalAddress(physical.rawValue &+ iova.distance(from: range.first))
    }
}

/// How a stream of found runs departs from the expected ones over one range of IOVAs.
package enum RunDifference: Sendable, Hashable {
    /// Expected, and nothing found.
    case missing(IOVARange, ExpectedRun)
    /// Found at another physical address; both addresses belong to the first IOVA of the range.
    case address(IOVARange, expected: PhysicalAddress, found: PhysicalAddress)
    /// Found with another protection.
    case protection(IOVARange, expected: Protection, found: Protection)
    /// Found, and nothing expected.
    case unexpected(IOVARange, physical: PhysicalAddress, protection: Protection)
}

/// Merges two sorted streams of runs: expected ones held as an array, found ones pushed in ascending order.
///
/// Linear in the sum of both; the runs of the two sides need not have the same boundaries.
package struct RunMerge {
    /// Sorted by range, without overlap.
    private let expected: [ExpectedRun]
    private var index = 0
    /// The first IOVA of `expected[index]` that has not been answered for.
    private var from: UInt64 = 0

    package init(expected: [ExpectedRun]) {
        self.expected = expected
        from = expected.first?.range.first.rawValue ?? 0
    }

    /// True when the next found run is one expected run, met whole; then nothing is left to be said of either.
    @inline(__always)
    mutating func meets(_ range: IOVARange, physical: PhysicalAddress, protection: Protection) -> Bool {
        guard index < expected.count, from == range.first.rawValue else { return false }
        let run = expected[index]
        guard run.range == range, run.physical == physical, run.protection == protection else { return false }
        index &+= 1
        if index < expected.count { from = expected[index].range.first.rawValue }
        return true
    }

    /// The next found run; must begin above the one before.
    package mutating func found(
        _ range: IOVARange, physical: PhysicalAddress, protection: Protection, report: (RunDifference) -> Void
    ) {
        var position = range.first.rawValue
        let last = range.last.rawValue
        while true {
            let here = PhysicalAddress(physical.rawValue &+ (position &- range.first.rawValue))
            guard index < expected.count else {
                report(.unexpected(Self.range(position, last), physical: here, protection: protection))
                return
            }
            let run = expected[index]
            if from < position {
                let end = min(run.range.last.rawValue, position &- 1)
                report(.missing(Self.range(from, end), run))
                advance(past: end)
                continue
            }
            if from > position {
                let end = min(last, from &- 1)
                report(.unexpected(Self.range(position, end), physical: here, protection: protection))
                if end == last { return }
                position = from
                continue
            }
            let end = min(run.range.last.rawValue, last)
            let wanted = PhysicalAddress(run.physical.rawValue &+ (position &- run.range.first.rawValue))
            if wanted != here { report(.address(Self.range(position, end), expected: wanted, found: here)) }
            if run.protection != protection {
                report(.protection(Self.range(position, end), expected: run.protection, found: protection))
            }
            advance(past: end)
            if end == last { return }
            position = end &+ 1
        }
    }

    /// No more runs: what is still expected is missing.
    package mutating func finish(report: (RunDifference) -> Void) {
        while index < expected.count {
            let run = expected[index]
            let end = run.range.last.rawValue
            report(.missing(Self.range(from, end), run))
            advance(past: end)
        }
    }

    private mutating func advance(past end: UInt64) {
        if end == expected[index].range.last.rawValue {
            index += 1
            if index < expected.count { from = expected[index].range.first.rawValue }
        } else {
            from = end &+ 1
        }
    }

    private static func range(_ first: UInt64, _ last: UInt64) -> IOVARange {
        guard let range = IOVARange(first: IOVA(first), last: IOVA(last)) else {
            preconditionFailure("runs must be sorted and must not overlap")
        }
        return range
    }
}
