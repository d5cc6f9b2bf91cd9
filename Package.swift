// swift-tools-version: 6.2
import PackageDescription

/// A warning is an error: in a root package only, so that no user of the library is held up by one.
let strict: [SwiftSetting] = [.treatAllWarnings(as: .error)]

let package = Package(
    name: "domstore",
    products: [
        .executable(name: "domstore", targets: ["domstore"]),
        .library(
            name: "DomainStore",
            targets: [
                "DomainStore", "IOMMUModel", "PageTables", "Hardware", "Snapshot", "Import", "Engine", "Store",
                "Validate", "Diff", "Handover",
                "Restore", "Replay",
            ]),
        .library(name: "domstore-c", type: .dynamic, targets: ["CInterface"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        .target(name: "IOMMUModel"),
        .systemLibrary(name: "CVector"),
        .target(name: "PageTables", dependencies: ["CVector", "IOMMUModel"]),
        .target(name: "Hardware", dependencies: ["PageTables"]),
        .target(name: "Snapshot", dependencies: ["IOMMUModel"]),
        .target(name: "Import", dependencies: ["Hardware", "PageTables", "Snapshot"]),
        .target(name: "Conformance", dependencies: ["Hardware", "PageTables"]),
        .target(name: "Engine", dependencies: ["Hardware", "PageTables", "IOMMUModel"]),
        .systemLibrary(name: "CSQLite", pkgConfig: "sqlite3", providers: [.apt(["libsqlite3-dev"])]),
        .target(name: "SQLite", dependencies: ["CSQLite"]),
        .target(name: "Digest"),
        .target(
            name: "Migrations", path: "Migrations",
            resources: [
                .embedInCode("0001_initial.sql"), .embedInCode("0002_choices.sql"), .embedInCode("0002_whole.sql"),
            ]),
        .target(
            name: "Schema", path: "Schema", exclude: ["COOKBOOK.md", "FORMAT.md", "LIFECYCLE.md"],
            resources: [.embedInCode("schema.sql")]),
        .target(name: "Store", dependencies: ["SQLite", "Migrations", "Digest", "Snapshot", "IOMMUModel"]),
        .target(name: "Validate", dependencies: ["Store", "Snapshot", "Hardware", "PageTables"]),
        .target(name: "Diff", dependencies: ["Validate", "Digest"]),
        .target(name: "Handover", dependencies: ["Engine", "Snapshot", "Store"]),
        .target(name: "Restore", dependencies: ["Validate", "Handover", "Engine"]),
        .target(
            name: "DomainStore",
            dependencies: [
                "Engine", "Handover", "Hardware", "IOMMUModel", "PageTables", "Restore", "Store", "Validate",
            ]),
        .systemLibrary(name: "CDomstore"),
        .target(name: "CInterface", dependencies: ["CDomstore", "DomainStore"]),
        .target(
            name: "Scenario", dependencies: ["Import", "Handover", "Restore"],
            resources: [.embedInCode("scenario-schema.json")]),
        .target(name: "Replay", dependencies: ["Restore", "Scenario"]),
        .target(name: "Evidence", dependencies: ["Store", .product(name: "Crypto", package: "swift-crypto")]),
        .executableTarget(
            name: "domstore",
            dependencies: [
                "Diff", "Evidence", "Import", "Conformance", "Restore", "Scenario", "Schema",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ]),
        .testTarget(name: "PageTablesTests", dependencies: ["CVector", "PageTables", "IOMMUModel"]),
        .testTarget(name: "IOMMUModelTests", dependencies: ["IOMMUModel"]),
        .testTarget(name: "HardwareTests", dependencies: ["Hardware", "PageTables", "IOMMUModel"]),
        .testTarget(name: "ImportTests", dependencies: ["Import", "Hardware", "PageTables", "Snapshot", "IOMMUModel"]),
        .testTarget(name: "ConformanceTests", dependencies: ["Conformance"]),
        .testTarget(name: "StoreTests", dependencies: ["Store"]),
        .testTarget(name: "EvidenceTests", dependencies: ["Evidence", "Store"]),
        .testTarget(
            name: "SchemaTests",
            dependencies: [
                "Schema", "Migrations", "Evidence", "Store", "SQLite", "Digest", "Snapshot", "IOMMUModel", "Engine",
            ]),
        .testTarget(name: "SnapshotTests", dependencies: ["Snapshot"]),
        .testTarget(name: "ScenarioTests", dependencies: ["Replay", "Scenario"]),
        .testTarget(name: "ValidateTests", dependencies: ["Validate", "Import", "Store"]),
        .testTarget(name: "DiffTests", dependencies: ["Diff", "Import", "Scenario"]),
        .testTarget(name: "EngineTests", dependencies: ["Engine"]),
        .testTarget(name: "ReadmeTests", dependencies: ["DomainStore"]),
        .testTarget(name: "DomainStoreTests", dependencies: ["DomainStore"]),
        .testTarget(name: "CInterfaceTests", dependencies: ["CDomstore", "CInterface"], exclude: ["Examples"]),
        .testTarget(name: "CommandLineTests", dependencies: ["Replay", "domstore"]),
        .testTarget(name: "ArchitectureTests"),
    ]
)

for target in package.targets where target.type != .system {
    target.swiftSettings = strict
}
