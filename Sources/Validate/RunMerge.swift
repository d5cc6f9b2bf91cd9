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

/// Merges two sorted streams of runs: expected ones pulled, found ones pushed in ascending order.
///
/// Linear in the sum of both; the runs of the two sides need not have the same boundaries.
package struct RunMerge<Expected: IteratorProtocol<ExpectedRun>> {
    /// Sorted by range, without overlap.
    private var expected: Expected
    /// What of the next expected run has not been answered for; `nil` at the end.
    private var rest: ExpectedRun?

    /// `expected`: sorted by range, without overlap.
    package init(expected: Expected) {
        self.expected = expected
        rest = self.expected.next()
    }

    /// Takes the expected runs that the next found one begins with, each met whole: nothing is to be said of them. Answers
    /// where what they leave of it begins; `nil` when they leave nothing.
    @inline(__always)
    mutating func meet(_ range: IOVARange, physical: PhysicalAddress, protection: Protection) -> IOVA? {
        let last = range.last.rawValue
        // What each address is mapped away by.
        let offset = physical.rawValue &- range.first.rawValue
        var position = range.first.rawValue
        while let run = rest, run.range.first.rawValue == position, run.range.last.rawValue <= last,
            run.physical.rawValue &- position == offset, run.protection == protection
        {
            rest = expected.next()
            if run.range.last.rawValue == last { return nil }
            position = run.range.last.rawValue &+ 1
        }
        return IOVA(position)
    }

    /// The next found run; must begin above the one before.
    package mutating func found(
        _ range: IOVARange, physical: PhysicalAddress, protection: Protection, report: (RunDifference) -> Void
    ) {
        if let rest = meet(range, physical: physical, protection: protection) {
            found(range, physical: physical, protection: protection, from: rest, report: report)
        }
    }

    /// As ``found(_:physical:protection:report:)``, of which all before `from` is answered for.
    mutating func found(
        _ range: IOVARange, physical: PhysicalAddress, protection: Protection, from: IOVA,
        report: (RunDifference) -> Void
    ) {
        var position = from.rawValue
        let last = range.last.rawValue
        while true {
            let here = PhysicalAddress(physical.rawValue &+ (position &- range.first.rawValue))
            guard let run = rest else {
                report(.unexpected(Self.range(position, last), physical: here, protection: protection))
                return
            }
            let next = run.range.first.rawValue
            if next < position {
                let end = min(run.range.last.rawValue, position &- 1)
                report(.missing(Self.range(next, end), run))
                advance(run, past: end)
                continue
            }
            if next > position {
                let end = min(last, next &- 1)
                report(.unexpected(Self.range(position, end), physical: here, protection: protection))
                if end == last { return }
                position = next
                continue
            }
            let end = min(run.range.last.rawValue, last)
            if run.physical != here {
                report(.address(Self.range(position, end), expected: run.physical, found: here))
            }
            if run.protection != protection {
                report(.protection(Self.range(position, end), expected: run.protection, found: protection))
            }
            advance(run, past: end)
            if end == last { return }
            position = end &+ 1
        }
    }

    /// No more runs: what is still expected is missing.
    package mutating func finish(report: (RunDifference) -> Void) {
        while let run = rest {
            report(.missing(run.range, run))
            rest = expected.next()
        }
    }

    /// `run`, the next one, is answered for up to `end`.
    @inline(__always)
    private mutating func advance(_ run: ExpectedRun, past end: UInt64) {
        if end == run.range.last.rawValue {
            rest = expected.next()
        } else {
            let range = Self.range(end &+ 1, run.range.last.rawValue)
            rest = ExpectedRun(range: range, physical: run.physical(at: range.first), protection: run.protection)
        }
    }

    @inline(__always)
    private static func range(_ first: UInt64, _ last: UInt64) -> IOVARange {
        guard let range = IOVARange(first: IOVA(first), last: IOVA(last)) else {
            preconditionFailure("runs must be sorted and must not overlap")
        }
        return range
    }
}

extension RunMerge where Expected == IndexingIterator<[ExpectedRun]> {
    /// `expected`: sorted by range, without overlap.
    package init(expected: [ExpectedRun]) { self.init(expected: expected.makeIterator()) }
}
