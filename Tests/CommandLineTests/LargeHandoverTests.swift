import Foundation
import Testing

/// A host of profile L: 4,096 devices with 10,000 PASIDs on 1,024 domains that map 12 TiB in 2 MiB pages.
///
/// With the optimised program only: the other one takes minutes.
@Suite("A large host's handover", .enabled(if: ProcessInfo.processInfo.environment["DOMSTORE_PROGRAM"] != nil))
struct LargeHandoverTests {
    private static let (units, devices, pasids, domains, areas) = (4, 4096, 10_000, 1024, 10_000)
    private static let bytesPerDomain = 12 << 30
    private static let base = 1 << 40

    @Test("Every device is replaced; at its most the process has 1.5 times the memory of its tables")
    func memory() throws {
        let folder = try ScratchFolder()
        let handover = try Self.handOver(in: folder)
        let report = handover.report
        #expect(report.verdict == "restored")
        #expect(report.devices.count == Self.devices + Self.pasids)
        #expect(report.devices.values.allSatisfy { $0 == "replaced - -" })
        let ratio = try handover.ratio(generation: "\(folder.path)/out")
        #expect(ratio <= 1.5)
        print("profile L: \(handover.peakBytes >> 20) MiB at most, \(ratio) times the tables")
        let wrong = report.phases.filter { ($0.counts["dma_probes"] ?? 0) < 1 << 24 }
        #expect(wrong.map(\.name) == ["start"])
    }

    private static func handOver(in folder: ScratchFolder) throws -> MeasuredHandover {
        let path = "\(folder.path)/large.json"
        try JSONSerialization.data(withJSONObject: scenario()).write(to: URL(fileURLWithPath: path))
        return try MeasuredHandover([path, "--store", "\(folder.path)/out"])
    }

    private static func scenario() -> [String: Any] {
        let memory = bytesPerDomain * domains
        let machine: [String: Any] = [
            "ram": [
                ["0x100000", "0x7fffffff"], ["0x100000000", "0x1ffffffff"], [hex(base), hex(base + memory - 1)],
            ],
            "table_pages": 60_000,
            "units": (0..<units).map { number in
                [
                    "id": number + 1, "register_base": hex(0xfed9_0000 + number << 12), "host_address_width": 46,
                    "cap": "0x1d2008c222f0606", "ecap": "0xe99804f00f4a",
                ] as [String: Any]
            },
            "devices": (0..<devices).map { number in
                [
                    "device": device(number), "unit": number * units / devices + 1, "group": number,
                    "driver": "vfio-pci", "pasid_bits": 10,
                ] as [String: Any]
            },
            "memory_files": [["id": 1, "base": hex(base), "bytes": hex(memory)] as [String: Any]],
        ]
        return [
            "schema": 0, "name": "large-host", "about": "Profile L.", "seed": 1, "machine": machine,
            "steps": (0..<domains).flatMap(steps), "expect": ["verdict": "restored"],
        ]
    }

    private static func steps(_ domain: Int) -> [[String: Any]] {
        let id = domain + 1
        var steps: [[String: Any]] = [
            ["do": "create-ioas", "ioas": id],
            ["do": "create-hwpt", "hwpt": id, "ioas": id, "unit": domain * units / domains + 1, "bits": 48],
        ]
        let count = (domain + 1) * areas / domains - domain * areas / domains
        let pages = bytesPerDomain >> 21
        for index in 0..<count {
            let (first, end) = (pages * index / count, pages * (index + 1) / count)
            let bytes = (end - first) << 21
            // Off by some pages of 2 MiB, so that no page of 1 GiB fits.
            let offset = (domain * bytesPerDomain + (first + 3) << 21) % (bytesPerDomain * domains - bytes)
            steps.append([
                "do": "map", "ioas": id, "iova": hex(4 << 30 + first << 21), "bytes": hex(bytes), "file": 1,
                "offset": hex(offset & ~0x1f_ffff), "protection": "rw",
            ])
        }
        steps.append(["do": "mark", "hwpt": id, "token": id])
        for number in domain * 4..<(domain + 1) * 4 {
            steps.append(["do": "claim", "device": device(number)])
            steps.append(["do": "attach", "device": device(number), "hwpt": id])
            let tagged = (number + 1) * pasids / devices - number * pasids / devices
            for pasid in 0..<tagged {
                steps.append(["do": "attach", "device": device(number), "pasid": hex(pasid + 1), "hwpt": id])
            }
        }
        return steps
    }

    private static func device(_ number: Int) -> String {
        let rid = number << 2
        func text(_ value: Int) -> String { (value < 16 ? "0" : "") + String(value, radix: 16) }
        return "0000:\(text(rid >> 8)):\(text(rid >> 3 & 31)).\(rid & 7)"
    }

    private static func hex(_ value: Int) -> String { "0x" + String(value, radix: 16) }
}

/// What was handed over, and the most memory that the process ever had.
struct MeasuredHandover {
    let report: HandoverReportText
    let peakBytes: UInt64

    /// Under a small process that asks the kernel for the peak: a child's begins with that of the process it was made by.
    init(_ arguments: [String]) throws {
        let program = """
            import resource, subprocess, sys
            code = subprocess.run(sys.argv[1:]).returncode
            print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024, file=sys.stderr)
            sys.exit(code)
            """
        let outcome = try Binary.run(
            program: "python3", ["-c", program, Binary.path, "handover"] + arguments + ["--json"])
        #expect(outcome.status == 0, "\(outcome.errors)")
        peakBytes = try #require(outcome.errors.split(separator: "\n").last.flatMap { UInt64($0) })
        report = try HandoverReportText(outcome.output)
    }

    /// The peak by the bytes of all tables: old and new trees stand beside each other until the replace.
    ///
    /// - Parameter store: where it was recorded, as generation 1.
    func ratio(generation store: String) throws -> Double {
        func count(_ phase: String, _ name: String) throws -> UInt64 {
            try #require(report.phases.first { $0.name == phase }?.counts[name])
        }
        let info = try Binary.run(["info", store, "--generation", "1", "--json"])
        let facts = try #require(try JSONSerialization.jsonObject(with: Data(info.output.utf8)) as? [String: Any])
        let lookupPages = try #require(facts["lookup_pages"] as? Int)
        let pages = try count("seal", "table_pages") + count("rebuild", "new_table_pages") + UInt64(lookupPages)
        return Double(peakBytes) / Double(pages << 12)
    }
}
