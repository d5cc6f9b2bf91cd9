import Conformance
import FoundationEssentials
import Glibc
import Testing

@Suite("Known-answer vectors")
struct ConformanceTests {
    static func path(_ name: String) -> String {
        #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
            + "/Fixtures/vectors/\(name).json"
    }

    static func bytes(_ name: String) throws -> [UInt8] {
        [UInt8](try Data(contentsOf: URL(filePath: path(name))))
    }

    @Test("All vectors of a page-table format pass", arguments: [("vtdss", 101), ("amdv1", 135), ("x86_64", 104)])
    func pageTables(name: String, count: Int) throws {
        let report = try Conformance.run(file: Self.path(name))
        #expect(report.failures.isEmpty, "\(report.failures.map(\.description).joined(separator: "\n"))")
        #expect(report.passed == count)
        #expect(report.skipped == 0)
    }

    @Test("A file that is larger than any vectors is not read")
    func tooLarge() throws {
        let path = "/tmp/domstore-vectors-\(getpid()).json"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        defer { unlink(path) }
        #expect(ftruncate(descriptor, 1 << 40) == 0)
        close(descriptor)
        do throws(ConformanceError) {
            _ = try Conformance.run(file: path)
            Issue.record("read")
        } catch {
            guard case .tooLarge(path, 1 << 40, _) = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test("What are no vectors is told so", arguments: ["", "{}", "{\"schema\": 2, \"format\": \"vtdss\"}"])
    func notVectors(text: String) {
        do throws(ConformanceError) {
            _ = try Conformance.run(bytes: Array(text.utf8), path: "x")
            Issue.record("run")
        } catch {
            guard case .notVectors("x", _) = error else {
                Issue.record("\(error)")
                return
            }
        }
    }

    @Test("Of Armv8 stage 2 all pass but what is not built: dirty state, FWB, concatenated roots")
    func armv8Stage2() throws {
        let report = try Conformance.run(file: Self.path("armv8_s2"))
        #expect(report.failures.isEmpty, "\(report.failures.map(\.description).joined(separator: "\n"))")
        #expect(report.passed == 102)
        #expect(report.skipped == 108 - report.passed)
    }

    @Test("The structures of VT-d, AMD and stream tables pass, all others are skipped")
    func lookup() throws {
        let report = try Conformance.run(file: Self.path("lookup"))
        #expect(report.failures.isEmpty, "\(report.failures.map(\.description).joined(separator: "\n"))")
        // Packed: VT-d 19, AMD 8, SMMUv3 6; reserved: VT-d 6, AMD 2; two requester ids and a PASID, for both vendors.
        #expect(report.passed == 33 + 8 + 3)
        #expect(report.skipped == 65 - report.passed)
    }

    @Test(
        "Formats that are not built are skipped whole",
        arguments: [("armv8_s1", 111), ("riscv", 134)])
    func unbuilt(name: String, count: Int) throws {
        let report = try Conformance.run(file: Self.path(name))
        #expect(report.passed == 0 && report.failed == 0)
        #expect(report.skipped == count)
    }

    /// Replaces the first `old` after the first `anchor`.
    static func altered(_ name: String, after anchor: String, _ old: String, _ new: String) throws -> [UInt8] {
        var bytes = try bytes(name)
        let start = try #require(bytes.firstRange(of: Array(anchor.utf8))).upperBound
        let place = try #require(bytes[start...].firstRange(of: Array(old.utf8)))
        bytes.replaceSubrange(place, with: Array(new.utf8))
        return bytes
    }

    @Test(
        "One altered answer fails, and only it",
        arguments: [
            ("vtdss", "\"vtdss-e04\"", "0x0000000000200083", "0x0000000000200082", "vtdss-e04"),
            ("vtdss", "\"vtdss-e26\"", "invalidPageSize", "misaligned", "vtdss-e26"),
            ("vtdss", "\"vtdss-d05\"", "\"dirty\": true", "\"dirty\": false", "vtdss-d05"),
            ("vtdss", "\"vtdss-d01\"", "nonZeroNotPresent", "other", "vtdss-d01"),
            ("vtdss", "\"vtdss-d23\"", "\"next_level\": 1", "\"next_level\": 0", "vtdss-d23"),
            ("vtdss", "\"vtdss-w01\"", "0x0000000123456ffe", "0x0000000123457ffe", "vtdss-w01[2]"),
            ("vtdss", "\"vtdss-w07\"", "\"level\": 3", "\"level\": 2", "vtdss-w07[0]"),
            ("amdv1", "\"amdv1-e09\"", "\"items\": 4", "\"items\": 2", "amdv1-e09"),
            ("amdv1", "\"amdv1-d04\"", "ignoredBitsSet", "noAccess", "amdv1-d04"),
            (
                "amdv1", "\"amdv1-d08\"", "\"skipped_levels\": [\n     1", "\"skipped_levels\": [\n     2",
                "amdv1-d08"
            ),
            ("amdv1", "\"amdv1-d25\"", "\"encrypted\": true", "\"encrypted\": false", "amdv1-d25"),
            ("amdv1", "\"amdv1-w06\"", "permissionWrite", "permissionRead", "amdv1-w06[1]"),
            ("x86_64", "\"x86_64-d05\"", "\"pat\": true", "\"pat\": false", "x86_64-d05"),
            ("x86_64", "\"x86_64-d15\"", "\"user\": false", "\"user\": true", "x86_64-d15"),
            ("armv8_s2", "\"armv8_s2-e10\"", "0x00000000400007fd", "0x00100000400007fd", "armv8_s2-e10"),
            ("armv8_s2", "\"armv8_s2-d17\"", "contigMisaligned", "res0Bits", "armv8_s2-d17"),
            ("armv8_s2", "\"armv8_s2-d14\"", "addressSize", "accessFlag", "armv8_s2-d14"),
            ("x86_64", "\"x86_64-w06\"", "permissionExec", "permissionRead", "x86_64-w06[0]"),
            ("lookup", "DID 0x12\"", "0x0000000000001202", "0x0000000000001203", "vectors[6]"),
            ("lookup", "DID 0x12\"", "\"AW\": \"0x0000000000000002\"", "\"AW\": \"0x0000000000000001\"", "vectors[6]"),
            ("lookup", "bit 7 of the upper qword", "0x0000000000001282", "0x0000000000001202", "reserved[2]"),
            ("lookup", "PCI RID 3a:15.2", "\"vtd_root_index\": 58", "\"vtd_root_index\": 59", "index[0]"),
            ("lookup", "PCI RID 3a:15.2", "byte_offset\": 480576", "byte_offset\": 480544", "index[0]"),
            ("lookup", "PASID 0x12345", "\"vtd_table_index\": 5", "\"vtd_table_index\": 6", "index[2]"),
            ("lookup", "PASID 0x12345", "145", "146", "index[2]"),
            ("lookup", "v1 3-level, RW, domain 5", "0x6000000005000603", "0x6000000005000803", "vectors[20]"),
            ("lookup", "qword 1 bit 42", "0x0000040000000000", "0x0000000000000000", "reserved[7]"),
        ])
    func altered(name: String, anchor: String, old: String, new: String, id: String) throws {
        let bytes = try Self.altered(name, after: anchor, old, new)
        let report = try Conformance.run(bytes: bytes, path: name)
        #expect(report.failed == 1)
        let failure = try #require(report.failures.first)
        #expect(failure.id.hasPrefix(id))
        #expect(failure.expected != failure.got)
        let passed = ["vtdss": 100, "amdv1": 134, "x86_64": 103, "armv8_s2": 101, "lookup": 43]
        #expect(report.passed == passed[name])
    }

    @Test("A file that holds no vectors is refused in one line")
    func refused() throws {
        let cases: [(String, String)] = [
            ("", "not valid JSON"), ("{}", "\"format\""), ("[1]", ""),
            (#"{"format": "vtdss", "schema": 2}"#, "schema 2"),
            (#"{"format": "sparc", "schema": 1}"#, "unknown format \"sparc\""),
            (#"{"format": "vtdss", "schema": 1}"#, "\"encode\""),
            (#"{"format": "lookup", "schema": 1, "structs": 3}"#, "structs"),
        ]
        for (text, expected) in cases {
            do throws(ConformanceError) {
                _ = try Conformance.run(bytes: Array(text.utf8), path: "x.json")
                Issue.record("accepted: \(text)")
            } catch {
                #expect(error.description.contains(expected), "\(error)")
                #expect(!error.description.contains("\n"))
            }
        }
    }

    @Test("A missing file, a directory and a link each have their own error")
    func files() throws {
        let directory = "/tmp/domstore-conformance-\(getpid())"
        mkdir(directory, 0o700)
        defer {
            unlink(directory + "/link")
            rmdir(directory)
        }
        symlink(Self.path("vtdss"), directory + "/link")
        #expect(throws: ConformanceError.cannotRead(path: directory + "/none", errno: ENOENT)) {
            try Conformance.run(file: directory + "/none")
        }
        #expect(throws: ConformanceError.notARegularFile(path: directory)) { try Conformance.run(file: directory) }
        #expect(throws: ConformanceError.symbolicLink(path: directory + "/link")) {
            try Conformance.run(file: directory + "/link")
        }
    }
}
