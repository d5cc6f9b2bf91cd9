import Foundation
import Testing

@testable import Scenario

/// Small files that are written whole.
struct WholeFileTests {
    /// A folder of its own, removed with what is in it.
    private static func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/whole-file-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: false)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    private static func names(_ folder: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
    }

    @Test func `a new file has all bytes, and takes nothing's place`() throws {
        try Self.inFolder { folder in
            let bytes = (0..<70_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
            try WholeFile.write(bytes, to: folder + "/a")
            try WholeFile.write([], to: folder + "/b")
            #expect(try WholeFile.read(folder + "/a") == bytes)
            #expect(try WholeFile.read(folder + "/b") == [])
            let error = #expect(throws: ScenarioError.self) { try WholeFile.write([1], to: folder + "/a") }
            #expect(error?.description == "\(folder)/a: create: File exists")
            #expect(try WholeFile.read(folder + "/a") == bytes)
        }
    }

    @Test func `one that replaces another leaves nothing of it, nor anything beside it`() throws {
        try Self.inFolder { folder in
            try WholeFile.write([UInt8](repeating: 1, count: 500), to: folder + "/a")
            try WholeFile.write([2, 3], to: folder + "/a", replacing: true)
            #expect(try WholeFile.read(folder + "/a") == [2, 3])
            #expect(try Self.names(folder) == ["a"])
            // No file takes the place of a folder.
            try FileManager.default.createDirectory(atPath: folder + "/b", withIntermediateDirectories: false)
            let error = #expect(throws: ScenarioError.self) {
                try WholeFile.write([1], to: folder + "/b", replacing: true)
            }
            #expect(error?.description == "\(folder)/b: rename: Is a directory")
            #expect(try Self.names(folder) == ["a", "b"])
        }
    }
}
