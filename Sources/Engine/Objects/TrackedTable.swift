/// Objects by key that remember which of them were changed since someone asked: made, changed in place or removed. Reading
/// does not count, a change cannot be forgotten.
struct TrackedTable<Key: Hashable, Value> {
    private var storage: [Key: Value] = [:]
    /// Nothing is remembered until somebody wants to know.
    private var isTracking = false
    private var changed: Set<Key> = []

    init() {}

    subscript(key: Key) -> Value? {
        get { storage[key] }
        _modify {
            note(key)
            yield &storage[key]
        }
    }

    /// Of an object that must exist: changed where it lies. (By the other subscript it is taken out and put back.)
    subscript(existing key: Key) -> Value {
        get { storage[key]! }
        _modify {
            note(key)
            yield &storage.values[storage.index(forKey: key)!]
        }
    }

    func contains(_ key: Key) -> Bool { storage.index(forKey: key) != nil }

    /// Makes room, once, for so many objects in all.
    mutating func reserveCapacity(_ count: Int) { storage.reserveCapacity(count) }

    var keys: Dictionary<Key, Value>.Keys { storage.keys }

    var values: Dictionary<Key, Value>.Values { storage.values }

    @discardableResult
    mutating func removeValue(forKey key: Key) -> Value? {
        note(key)
        return storage.removeValue(forKey: key)
    }

    /// Counts `key` as changed.
    mutating func note(_ key: Key) { if isTracking { changed.insert(key) } }

    /// From now on changes are remembered; what is there counts as changed.
    mutating func startTracking() {
        isTracking = true
        changed = Set(storage.keys)
    }

    /// The keys of what was changed since ``startTracking()`` or the last call, whether or not it is still there.
    mutating func takeChanges() -> Set<Key> {
        defer { changed.removeAll() }
        return changed
    }
}
