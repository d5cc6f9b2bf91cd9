import IOMMUModel

extension PageSet {
    /// Takes the page at `address` out, at whatever levels it stands here. O(bytes).
    package mutating func remove(_ address: PhysicalAddress) {
        var rest = PageSet()
        for (index, entry) in entries.enumerated() where entry.address != address {
            withEncoded(index) { rest.append(address: entry.address, level: entry.level, encoded: $0) }
        }
        self = rest
    }
}
