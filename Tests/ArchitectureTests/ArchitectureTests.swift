import Testing

/// Data flows one way; these tests read the manifest and the sources and refuse a back edge.
@Suite struct ArchitectureTests {
    static let manifest = Manifest(text: Checkout.text(of: "Package.swift"))

    @Test func everyTargetDependsOnlyOnWhatTheTableAllows() {
        #expect(Self.manifest.targets.count > 15)
        for complaint in Architecture.complaints(about: Self.manifest) { Issue.record("\(complaint)") }
    }

    @Test func everySourceImportsOnlyWhatTheTableAllows() {
        var scanned = 0
        for target in Self.manifest.targets where !target.isTest {
            for file in Checkout.files(below: target.folder) where file.hasSuffix(".swift") {
                scanned += 1
                let modules = ImportLines.modules(in: Checkout.text(of: file))
                for complaint in Architecture.complaints(about: modules, of: target.name) {
                    Issue.record("\(file): \(complaint)")
                }
            }
        }
        #expect(scanned > 30)
    }

    @Test func aPlantedBackEdgeIsRefused() {
        let manifest = Manifest(
            text: """
                targets: [
                    .target(name: "PageTables", dependencies: ["IOMMUModel", .target(name: "Hardware")]),  // planted
                    .target(name: "Store", dependencies: ["SQLite", .product(name: "NIO", package: "swift-nio")]),
                    .target(name: "Extra"),
                ]
                """)
        #expect(manifest.targets.map(\.name) == ["PageTables", "Store", "Extra"])
        #expect(
            Architecture.complaints(about: manifest) == [
                "target PageTables depends on Hardware",
                "target Extra is not in the table of layers",
            ])
    }

    @Test(arguments: [
        ("import Engine", "Store", 1), ("@testable import Restore", "Engine", 1),
        ("public import struct Validate.Rule", "Restore", 0), ("internal import Store", "Digest", 1),
        ("  import Foundation", "IOMMUModel", 1), ("import Glibc", "IOMMUModel", 0),
        ("import CSQLite", "SQLite", 0), ("import CSQLite", "Store", 1), ("import FoundationEssentials", "Store", 1),
        ("// import Engine", "Store", 0), ("let important = 1", "Store", 0),
    ])
    func aPlantedImportIsRefused(line: String, target: String, complaints: Int) {
        #expect(Architecture.complaints(about: ImportLines.modules(in: line), of: target).count == complaints)
    }

    @Test func everyFolderOfSourcesIsATarget() {
        let folders = Set(Checkout.names(in: "Sources").map { "Sources/" + $0 })
        // Nested packages of their own.
        let known = Set(Self.manifest.targets.map(\.folder)).union(["Sources/Benchmarks", "Sources/Fuzzing"])
        #expect(folders.subtracting(known) == [])
    }
}

/// What is wrong with a package, in words.
enum Architecture {
    static func complaints(about manifest: Manifest) -> [String] {
        var result: [String] = []
        for target in manifest.targets where !target.isTest {
            guard let allowed = LayerTable.allowed(target.name) else {
                result.append("target \(target.name) is not in the table of layers")
                continue
            }
            for name in target.dependencies.subtracting(allowed).sorted() {
                result.append("target \(target.name) depends on \(name)")
            }
        }
        return result
    }

    static func complaints(about modules: Set<String>, of target: String) -> [String] {
        let standard: Set = ["Glibc", "Synchronization"]
        let allowed = (LayerTable.allowed(target) ?? []).union(LayerTable.foreign[target] ?? []).union(standard)
        return modules.subtracting(allowed).sorted().map { "\(target) imports \($0)" }
    }
}
