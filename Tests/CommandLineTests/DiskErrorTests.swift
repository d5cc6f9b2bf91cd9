import Foundation
import Testing

/// The finished binary with an error injected into each system call with which the second of two handovers writes and
/// syncs its seal.
@Suite struct DiskErrorTests {
    /// One call of a run: the k-th of its kind on the generation's files.
    struct Call: Hashable, CustomStringConvertible {
        var name: String
        var ordinal: Int
        var description: String { "\(name) \(ordinal)" }
    }

    private static let kinds = ["pwrite64", "fdatasync", "fsync", "fchmod", "unlink", "ftruncate"]

    private static func traced(
        _ second: SecondHandover, _ options: [String]
    ) throws -> (outcome: Binary.Outcome, calls: [Substring]) {
        let trace = try ScratchFolder()
        let paths = ["", "/2.domstore", "/2.domstore-journal"].flatMap { ["-P", second.store + $0] }
        let outcome = try Binary.run(
            program: "strace",
            ["-f", "-o", trace["trace"], "-e", "trace=" + kinds.joined(separator: ",")] + options + paths
                + [Binary.path] + second.arguments)
        let text = String(decoding: try trace.bytes(of: "trace"), as: UTF8.self)
        return (outcome, text.split(separator: "\n"))
    }

    /// Every call of the pass that pre-copies, and every one from the first write of the seal's transaction to the sync of
    /// the directory after it.
    static func callsOfTheHandover() throws -> (precopy: [Call], seal: [Call]) {
        let (outcome, lines) = try traced(try SecondHandover(), [])
        try #require(outcome.status == 0, "\(outcome.errors)")
        var counts: [String: Int] = [:]
        var calls: [Call] = []
        var begins: [Int] = []
        for line in lines {
            guard let name = kinds.first(where: { line.contains(" \($0)(") }) else { continue }
            counts[name, default: 0] += 1
            // Each transaction begins with the header of its journal; the seal is the last one, the pass the one before.
            if line.contains(", 512, 0)") { begins.append(calls.count) }
            calls.append(Call(name: name, ordinal: counts[name] ?? 0))
        }
        // It ends with two syncs behind the change of the file's mode: the file's and its directory's.
        let mode = try #require(calls.lastIndex { $0.name == "fchmod" })
        try #require(calls.count > mode + 2 && calls[mode + 1].name == "fsync" && calls[mode + 2].name == "fsync")
        let begin = try #require(begins.last)
        return (Array(calls[begins[begins.count - 2]..<begin]), Array(calls[begin...mode + 2]))
    }

    static func callsOfTheSeal() throws -> [Call] { try callsOfTheHandover().seal }

    @Test func `each sync of the pre-copy fails once, and the old state stands`() throws {
        let syncs = try Self.callsOfTheHandover().precopy.filter { $0.name == "fdatasync" }
        #expect(syncs.count >= 4)
        for call in syncs {
            let second = try SecondHandover()
            let (run, lines) = try Self.traced(second, ["-e", "inject=fdatasync:error=EIO:when=\(call.ordinal)"])
            #expect(lines.count { $0.hasSuffix("(INJECTED)") } == 1, "\(call)")
            #expect(run.status == 3, "\(call): \(run.errors)")
            #expect(try second.restore() == .first, "\(call)")
        }
    }

    @Test(arguments: ["ENOSPC", "EIO"])
    func `each write and sync of the seal fails once, and the old state stands or the new one`(error: String) throws {
        let calls = try Self.callsOfTheSeal()
        #expect(calls.count { $0.name == "pwrite64" } > 15)
        #expect(calls.count { $0.name == "fdatasync" } >= 4)
        var outcomes: [SecondHandover.Outcome: Int] = [:]
        for call in calls {
            let second = try SecondHandover()
            let (run, lines) = try Self.traced(
                second, ["-e", "inject=\(call.name):error=\(error):when=\(call.ordinal)"])
            #expect(lines.count { $0.hasSuffix("(INJECTED)") } == 1, "\(call)")
            let outcome = try second.restore()
            outcomes[outcome, default: 0] += 1
            if run.status == 0 {
                // Not needed for the seal, and the run went on to its end.
                #expect(outcome == .secondWithoutNonce, "\(call)")
                print("\(error) into \(call): not needed, the handover went on")
            } else {
                #expect(run.status == 3, "\(call): \(run.errors)")
                #expect(run.errors.split(separator: "\n").count == 1, "\(call): \(run.errors)")
                #expect(outcome == .first, "\(call)")
            }
        }
        print("\(error) into \(calls.count) calls of the seal: \(outcomes)")
    }

    @Test func `from each sync of the seal on every sync fails, and no state is mixed`() throws {
        for call in try Self.callsOfTheSeal() where call.name == "fdatasync" {
            let second = try SecondHandover()
            let (run, lines) = try Self.traced(second, ["-e", "inject=fdatasync:error=EIO:when=\(call.ordinal)+"])
            #expect(lines.contains { $0.hasSuffix("(INJECTED)") })
            let outcome = try second.restore()
            // What could not be revoked has no nonce in memory.
            #expect(run.status == 0 || outcome != .second, "\(call)")
        }
    }
}
