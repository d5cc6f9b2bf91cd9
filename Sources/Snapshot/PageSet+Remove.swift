import IOMMUModel

extension PageSet {
    /// The pages whose places `isWanted` answers true for. O(bytes).
    package func pages(where isWanted: (Entry) -> Bool) -> PageSet {
        var result = PageSet()
        for (index, entry) in entries.enumerated() where isWanted(entry) {
            withEncoded(index) { result.append(address: entry.address, level: entry.level, encoded: $0) }
        }
        return result
    }

    /// Takes the page at `address` out, at whatever levels it stands here. O(bytes).
    package mutating func remove(_ address: PhysicalAddress) { self = pages { $0.address != address } }
}
