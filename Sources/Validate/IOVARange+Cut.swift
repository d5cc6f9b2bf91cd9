import IOMMUModel

extension IOVARange {
    /// The range without `hole`: none, one or two parts.
    func without(_ hole: IOVARange) -> [IOVARange] {
        guard overlaps(hole) else { return [self] }
        var parts: [IOVARange] = []
        if first < hole.first, let below = IOVARange(first: first, last: IOVA(hole.first.rawValue - 1)) {
            parts.append(below)
        }
        if last > hole.last, let above = IOVARange(first: IOVA(hole.last.rawValue + 1), last: last) {
            parts.append(above)
        }
        return parts
    }
}
