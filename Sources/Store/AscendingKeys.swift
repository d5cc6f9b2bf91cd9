/// Keys in ascending order, each once, to be looked for: in the order of the keys, mostly.
struct AscendingKeys {
    private let keys: [UInt64]
    /// Where the last one was found.
    private var place = 0

    /// Of `records`, which are in the order of their keys.
    init<R>(_ records: [R], _ key: (R) -> UInt64) { keys = records.map(key) }

    /// True when there is `key`. O(log keys); O(1) for the one found last and the next one.
    mutating func contains(_ key: UInt64) -> Bool {
        for next in place..<min(place &+ 2, keys.count) where keys[next] == key {
            place = next
            return true
        }
        var (low, high) = (0, keys.count)
        while low < high {
            let middle = (low &+ high) / 2
            if keys[middle] < key { low = middle &+ 1 } else { high = middle }
        }
        guard low < keys.count, keys[low] == key else { return false }
        place = low
        return true
    }
}
