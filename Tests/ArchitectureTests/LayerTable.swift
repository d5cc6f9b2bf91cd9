/// What each target may import, as decided: data flows one way.
enum LayerTable {
    /// Direct arrows; what may be imported is their closure.
    static let arrows: [String: Set<String>] = [
        "IOMMUModel": [], "CSQLite": [], "CVector": [], "CDomstore": [], "Digest": [], "Migrations": [], "Schema": [],
        "PageTables": ["CVector", "IOMMUModel"],
        "Hardware": ["PageTables"],
        "Snapshot": ["IOMMUModel"],
        "Import": ["Hardware", "PageTables", "Snapshot"],
        "Conformance": ["Hardware", "PageTables"],
        "Engine": ["Hardware", "PageTables", "IOMMUModel"],
        "SQLite": ["CSQLite"],
        "Store": ["SQLite", "Migrations", "Digest", "Snapshot"],
        "Evidence": ["Store"],
        "Validate": ["Store", "Snapshot", "Hardware", "PageTables"],
        "Diff": ["Validate", "Digest"],
        "Handover": ["Engine", "Snapshot", "Store"],
        "Restore": ["Validate", "Handover", "Engine"],
        "DomainStore": ["Restore"],
        "CInterface": ["CDomstore", "DomainStore"],
        "Scenario": ["Import", "Handover", "Restore"],
        "Replay": ["Import", "Restore", "Scenario"],
        "Export": ["Snapshot", "Validate"],
        "domstore": ["Diff", "Evidence", "Import", "Conformance", "Scenario", "Replay", "Export", "Schema"],
    ]

    /// Modules that are not ours, beside `Glibc` and `Synchronization`, which everybody may import.
    static let foreign: [String: Set<String>] = [
        "Import": ["FoundationEssentials"],
        "PageTables": ["Dispatch"],
        "Conformance": ["FoundationEssentials"],
        "Scenario": ["FoundationEssentials"],
        "Evidence": ["Crypto"],
        "Export": ["FoundationEssentials"],
        "domstore": ["FoundationEssentials", "ArgumentParser", "Dispatch"],
    ]

    /// Only this module sees the C library behind it.
    static let privateModules: [String: String] = [
        "CSQLite": "SQLite", "CVector": "PageTables", "CDomstore": "CInterface",
    ]

    /// Everything of ours that `target` may import, or `nil` for a target that no decision knows.
    static func allowed(_ target: String) -> Set<String>? {
        guard let direct = arrows[target] else { return nil }
        var result: Set<String> = []
        var waiting = direct
        while let next = waiting.popFirst() {
            if result.insert(next).inserted { waiting.formUnion(arrows[next] ?? []) }
        }
        return result.filter { (privateModules[$0] ?? target) == target }
    }
}
