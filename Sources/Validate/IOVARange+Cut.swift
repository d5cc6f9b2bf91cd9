import Hardware
import IOMMUModel

extension IOVARange {
    /// The range without the interrupt window, where a request is an interrupt and never a walk: none, one or two parts.
    var withoutInterruptWindow: [IOVARange] {
        let window = VTDUnitHardware.interruptWindow
        guard overlaps(window) else { return [self] }
        var parts: [IOVARange] = []
        if first < window.first,
            let below = IOVARange(first: first, last: IOVA(window.first.rawValue - 1))
        {
            parts.append(below)
        }
        if last > window.last, let above = IOVARange(first: IOVA(window.last.rawValue + 1), last: last) {
            parts.append(above)
        }
        return parts
    }
}
