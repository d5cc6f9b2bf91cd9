import Testing

/// What the tree of files must and must not hold.
@Suite struct TreeTests {
    /// Made by builds, never committed: what `.gitignore` names.
    static let ignored = Checkout.text(of: ".gitignore").split(separator: "\n").map(String.init)

    static func isIgnored(_ name: String) -> Bool {
        ignored.contains { pattern in
            if pattern.hasPrefix("*") { return name.hasSuffix(pattern.dropFirst()) }
            return [name, name + "/", "/" + name + "/"].contains(pattern)
        }
    }

    @Test(arguments: [
        ("out", true), (".build", true), ("Package.resolved", true), ("x.profraw", true), ("outer", false),
        ("Sources", false),
    ])
    func whatGitIgnoresIsIgnored(name: String, expected: Bool) { #expect(Self.isIgnored(name) == expected) }

    @Test func theTopLevelIsExactlyWhatWasDecided() {
        let visible = Checkout.names(in: "").filter { !$0.hasPrefix(".") && !Self.isIgnored($0) }
        #expect(visible == ["Migrations", "Package.swift", "README.md", "Schema", "Sources", "Tests"])
    }

    @Test func noFileHoldsAPathOfTheDevelopingMachine() {
        // Put together here, so that this file does not hold them either.
        let needles = ["work", "root"].map { Array("/\($0)/".utf8) }
        let files = Checkout.files(below: "", skipping: [".git", ".build", ".swiftpm", "out"])
        #expect(files.count > 50)
        for file in files where !Self.isIgnored(file) {
            let bytes = Checkout.bytes(of: file)
            for needle in needles where Self.holds(bytes, needle) {
                Issue.record("\(file) holds \(String(decoding: needle, as: UTF8.self))")
            }
        }
    }

    @Test func theSearchForPathsFindsOne() {
        let needle = Array("/needle/".utf8)
        #expect(Self.holds(Array("a /needl/ and /needle/x".utf8), needle))
        #expect(!Self.holds(Array("a /needl/ and /needle".utf8), needle))
    }

    /// True when `needle`, which begins with a slash, stands in `bytes`.
    static func holds(_ bytes: [UInt8], _ needle: [UInt8]) -> Bool {
        bytes.withUnsafeBufferPointer { bytes in
            var index = 0
            while index + needle.count <= bytes.count {
                if bytes[index] == needle[0], bytes[index..<index + needle.count].elementsEqual(needle) { return true }
                index += 1
            }
            return false
        }
    }
}
