import Snapshot

extension Snapshot {
    /// The tables of the store in whose records two normalised snapshots differ.
    func differingParts(from other: Snapshot) -> [String] {
        func differs<T: Equatable>(_ part: KeyPath<Snapshot, T>) -> Bool { self[keyPath: part] != other[keyPath: part] }
        let parts: [(String, Bool)] = [
            ("unit", differs(\.units)), ("memory_range", differs(\.memoryRanges)), ("iommu_group", differs(\.groups)),
            ("device", differs(\.devices)), ("reserved_region", differs(\.reservedRegions)),
            ("backing", differs(\.backings)), ("session", differs(\.sessions)), ("ioas", differs(\.ioases)),
            ("area", differs(\.areas)), ("domain", differs(\.domains)), ("domain_unit", differs(\.domainUnits)),
            ("hwpt", differs(\.hwpts)), ("attachment", differs(\.attachments)),
            ("lookup_page", differs(\.lookupPages)), ("table_page", differs(\.tablePages)),
            ("engine_state", differs(\.engineState)),
        ]
        return parts.filter(\.1).map(\.0)
    }
}
