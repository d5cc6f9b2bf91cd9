import Foundation
import Testing

/// The examples in C and Python, with the shared library that was built.
@Suite(.enabled(if: !SharedLibrary.isSanitized, "a sanitizer's runtime is in no other program"))
struct ExampleTests {
    private let folder: ScratchFolder

    init() throws { folder = try ScratchFolder() }

    private static let flags = ["-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]

    private static let sourceInC = "Tests/CInterfaceTests/Examples/live_update.c"

    @Test func `the example in C hands a device over`() throws {
        let compiler = try #require(SharedLibrary.compiler)
        // As the example itself says it is compiled, with the library that was built for this test.
        let source = try String(contentsOfFile: SharedLibrary.path(Self.sourceInC), encoding: .utf8)
        let command = try #require(source.firstMatch(of: /\* +clang ([^;]*?)\n \* +\.\/live_update/)).1
        let words = command.split { " *\\\n".contains($0) }.map(String.init)
        let library = SharedLibrary.folder.path(percentEncoded: false)
        let program = folder["live_update"]
        let arguments = words.map { word in
            word == "live_update" ? program : word.replacing(".build/debug", with: library)
        }
        let compiled = try SharedLibrary.run(compiler, Self.flags + arguments)
        #expect(compiled.status == 0, "\(compiled.output)")
        let run = try SharedLibrary.run(program, [folder["store"]])
        #expect(run.status == 0, "\(run.output)")
        let lines = run.output.split(separator: "\n").map(String.init)
        #expect(lines.filter { $0.hasSuffix("arrived") }.count == 4)
        // What the two faults say, as the unit tells them.
        #expect(lines.contains { $0.hasPrefix("write    -14: 0000:00:03.0 write at 0x0000000000020ff8: ") })
        #expect(lines.contains { $0.hasPrefix("read     -14: 0000:00:03.0 read at 0x0000000000020ff8: ") })
        #expect(lines.contains("map      -16: EBUSY"))
        #expect(FileManager.default.fileExists(atPath: folder["store/1.domstore"]))
        // Without a store to write to it says what it expected.
        let refused = try SharedLibrary.run(program, [folder["no/store"]])
        #expect(refused.status == 1 && refused.output.contains("seal: found -2, expected 0"), "\(refused.output)")
    }

    @Test func `the example in Python hands a device over`() throws {
        let run = try SharedLibrary.run(
            "/usr/bin/env",
            [
                "python3", SharedLibrary.path("Tests/CInterfaceTests/Examples/live_update.py"), SharedLibrary.path,
                folder["store"],
            ])
        #expect(run.status == 0, "\(run.output)")
        let lines = run.output.split(separator: "\n").map(String.init)
        #expect(lines.contains { $0.hasPrefix("dma_write  -14 0000:00:04.0 write at 0x0000000000008000: ") })
        #expect(lines.contains { $0.hasPrefix("dma_read   -14 0000:00:04.0 read at 0x0000000000008000: ") })
        #expect(lines.contains("unmap      -16 EBUSY"))
        #expect(lines.contains("finish     0"))
        #expect(FileManager.default.fileExists(atPath: folder["store/1.domstore"]))
    }

    @Test(arguments: ["c", "c++"])
    func `the header stands alone`(language: String) throws {
        let compiler = try #require(SharedLibrary.compiler)
        let flags = language == "c" ? Self.flags : ["-Wall", "-Wextra", "-Werror"]
        let outcome = try SharedLibrary.run(
            compiler, flags + ["-fsyntax-only", "-x", language, SharedLibrary.path("Sources/CDomstore/domstore.h")])
        #expect(outcome.status == 0, "\(outcome.output)")
    }
}
