import Foundation
import Testing

/// The main job on real kernels' tables, seen from outside: through output, memory file and store.
@Suite struct HandoverVerbTests {
    /// One finished run that all tests look at.
    struct Run {
        var folder: ScratchFolder
        var outcome: Binary.Outcome
        var report: HandoverReportText
        var store: String { folder["store"] }

        init(_ image: String = "vtd48", _ options: String...) throws {
            folder = try ScratchFolder()
            let path = Fixtures.images + image
            outcome = try Binary.run(
                ["handover", "--image", path + ".elf", "--meta", path + ".json", "--store", folder["store"], "--json"]
                    + ["--memory", folder["memory.elf"]] + options)
            try #require(outcome.status == 0, "\(outcome.errors)")
            report = try HandoverReportText(outcome.output)
        }

        /// What a verb lists of a store.
        func list(_ verb: [String]) throws -> [[String: Any]] {
            let run = try Binary.run(verb + ["--json"])
            return try JSONSerialization.jsonObject(with: Data(run.output.utf8)) as? [[String: Any]] ?? []
        }

        /// What a kernel that knows nothing of domstore would find in memory now, as an import of the memory file.
        func mappingsOfMemory() throws -> [String: [Truth.Run]] {
            let imported = folder["after.domstore"]
            let meta = folder["memory.json"]
            let run = try Binary.run(["import", "--meta", meta, "--store", imported, "--force"])
            try #require(run.status == 0, "\(run.errors)")
            let csv = try Binary.run(["mappings", imported, "--format", "csv"])
            return try Truth.runs(ofMappings: csv.output)
        }
    }

    /// A machine, and what lifecycle.md's "Imported machines" says of its requester ids.
    struct Machine: Sendable, CustomTestStringConvertible {
        var image: String
        var preserved: [String]
        /// More than one requester id in the group.
        var inGroups: [String]
        /// A kernel driver's, or nobody's.
        var unclaimed: [String]
        /// A bridge's alias.
        var alias: String?
        /// Trees of the preserved devices.
        var roots: Int
        var testDescription: String { image }

        /// As ``HandoverReportText/devices``.
        var expected: [String: String] {
            var result: [String: String] = [:]
            for device in preserved { result["0000:" + device] = "replaced - -" }
            for device in inGroups { result["0000:" + device] = "refused EOPNOTSUPP preserve-singleton-group" }
            for device in unclaimed { result["0000:" + device] = "refused EINVAL preserve-dma-owner" }
            if let alias { result["0000:" + alias] = "refused ENODEV preserve-no-function" }
            return result
        }
    }

    static let machines = [
        Machine(
            image: "vtd48", preserved: ["00:03.0", "00:04.0", "00:06.0", "00:06.1", "00:09.0", "01:00.0"],
            inGroups: ["00:05.0", "00:1f.0", "00:1f.2", "00:1f.3", "03:01.0", "03:02.0"],
            unclaimed: ["00:00.0", "00:01.0", "00:02.0", "00:08.0", "02:00.0", "40:00.0", "41:00.0"],
            alias: "03:00.0", roots: 5),
        // The functions with PASIDs belong to a kernel driver.
        Machine(
            image: "vtdpasid", preserved: ["00:03.0", "00:04.0", "00:06.0", "00:06.1", "01:00.0"],
            inGroups: ["00:05.0", "00:1f.0", "00:1f.2", "00:1f.3", "03:01.0", "03:02.0"],
            unclaimed: [
                "00:00.0", "00:01.0", "00:02.0", "00:08.0", "02:00.0", "40:00.0", "00:09.0", "00:09.0#0x1",
                "00:09.0#0x3f", "00:09.0#0x40", "00:09.0#0x3e8", "00:09.0#0x4e20", "00:09.0#0x7fff", "41:00.0",
                "41:00.0#0x5", "41:00.0#0x40",
            ], roots: 4),
        // 00:01.0 is the IOMMU itself.
        Machine(
            image: "amdv1", preserved: ["00:03.0", "00:04.0", "00:06.0", "00:06.1", "00:09.0", "01:00.0"],
            inGroups: ["00:05.0", "00:1f.0", "00:1f.2", "00:1f.3", "02:01.0", "02:02.0"],
            unclaimed: ["00:00.0", "00:01.0", "00:02.0", "00:08.0", "00:0a.0", "03:00.0", "40:00.0", "41:00.0"],
            alias: "02:00.0", roots: 5),
        // The functions behind root ports share groups with them; 03:01.0 and 03:02.0 have no group.
        Machine(
            image: "smmuv3s2", preserved: ["00:03.0", "00:04.0", "00:06.0", "00:06.1", "00:09.0"],
            inGroups: ["00:01.0", "00:02.0", "01:00.0", "02:00.0"],
            unclaimed: ["00:00.0", "00:05.0", "00:0b.0", "00:1e.0", "03:01.0", "03:02.0"], roots: 4),
    ]

    private static let runs = Dictionary(
        uniqueKeysWithValues: machines.map { machine in (machine.image, Result { try Run(machine.image) }) })

    static func shared(_ image: String = "vtd48") throws -> Run { try runs[image]!.get() }

    static let preserved = machines[0].preserved

    @Test(arguments: machines)
    func `exactly the devices of the table are preserved, each other one is refused with its errno`(
        machine: Machine
    ) throws {
        let report = try Self.shared(machine.image).report
        #expect(report.devices == machine.expected)
        #expect(report.verdict == "restored")
    }

    @Test(arguments: machines)
    func `every stage has one line, and DMA is asked at each of them`(machine: Machine) throws {
        let run = try Self.shared(machine.image)
        #expect(
            run.report.phases.map(\.name) == [
                "start", "preserve", "pre-copy", "freeze", "seal", "jump", "restore", "audit", "claim", "adopt",
                "rebuild",
                "compare", "replace", "finish",
            ])
        // Each mapped page of the preserved devices once, and more for the ends.
        let pages = try Truth.runs(of: machine.image).filter { machine.preserved.contains($0.bdf) }
            .reduce(0) { $0 + $1.length / 4096 }
        for phase in run.report.phases.dropFirst() {
            let probes = try #require(phase.counts["dma_probes"], "\(phase.name)")
            #expect(probes > pages, "\(phase.name)")
        }
    }

    @Test(arguments: machines)
    func `after the replace memory translates for the preserved devices what the kernel was asked for`(
        machine: Machine
    ) throws {
        let found = try Self.shared(machine.image).mappingsOfMemory()
        let truth = Dictionary(
            grouping: try Truth.runs(of: machine.image).filter { machine.preserved.contains($0.bdf) }, by: \.bdf)
        #expect(found == truth)
        #expect(truth.count >= 3)
    }

    @Test(arguments: machines)
    func `after the replace no entry points to an old root, and no old table page is reached`(
        machine: Machine
    ) throws {
        let run = try Self.shared(machine.image)
        func pages(_ store: [String]) throws -> Set<String> {
            Set(try run.list(["tables"] + store).compactMap { $0["address"] as? String })
        }
        func roots(_ store: [String]) throws -> Set<String> {
            Set(try run.list(["attachments"] + store).compactMap { $0["root"] as? String })
        }
        _ = try run.mappingsOfMemory()
        let sealed = [run.store, "--generation", "1"]
        let after = [run.folder["after.domstore"]]
        #expect(try roots(sealed).count == machine.roots)
        #expect(try roots(after).count == machine.roots)
        #expect(try roots(after).isDisjoint(with: roots(sealed)))
        #expect(try pages(after).isDisjoint(with: pages(sealed)))
        let freed = run.report.phases.first { $0.name == "replace" }?.counts["old_table_pages_freed"]
        #expect(try UInt64(pages(sealed).count) == freed)
    }

    @Test func `the sealed generation is read-only and the next one is open and names it`() throws {
        let run = try Self.shared()
        let generations = try run.list(["generations", run.store])
        #expect(generations.map { $0["state"] as? String } == ["sealed", "open"])
        #expect(generations.map { $0["parent"] as? Int } == [nil, 1])
        #expect(try Binary.run(["verify-seal", run.store + "/1.domstore"]).status == 0)
        let attributes = try FileManager.default.attributesOfItem(atPath: run.store + "/1.domstore")
        #expect(attributes[.posixPermissions] as? Int == 0o444)
    }

    @Test func `without declared areas the audit says that it has no witness, with them that it has one`() throws {
        let audit = try Self.shared().report.phases.first { $0.name == "audit" }
        #expect(audit?.notes.contains { $0.contains("no independent witness") } == true)
        let declared = try Run("vtd48", "--areas", Fixtures.images + "vtd48.truth.csv")
        let other = declared.report.phases.first { $0.name == "audit" }
        #expect(other?.notes.contains { $0.contains("declared") && $0.contains("independent witness") } == true)
        #expect(other?.counts["findings"] == 0)
        #expect(try declared.list(["ioas", declared.store]).contains { $0["origin"] as? String == "declared" })
        // Rows of the truth: 73 + 73 of the shared domain, 2, 204; 245 of the others.
        #expect(
            declared.report.phases.first { $0.name == "preserve" }?.notes.first
                == "declared areas: 352 of preserved devices, 245 of others ignored")
    }

    @Test func `a declared area that the tables do not bear out quarantines its device`() throws {
        let folder = try ScratchFolder()
        let text = try String(contentsOfFile: Fixtures.images + "vtd48.truth.csv", encoding: .utf8)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("00:06.0,") })
        var fields = line.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        fields[4] = Truth.hex(try #require(UInt64(fields[4].dropFirst(2), radix: 16)) ^ 0x1000)
        let altered = text.replacingOccurrences(of: line, with: fields.joined(separator: ","))
        try folder.write(altered.utf8, to: "areas.csv")
        let image = Fixtures.images + "vtd48"
        let run = try Binary.run(
            ["handover", "--image", image + ".elf", "--meta", image + ".json", "--store", folder["store"], "--json"]
                + ["--areas", folder["areas.csv"]])
        #expect(run.status == 1, "\(run.errors)")
        let report = try HandoverReportText(run.output)
        #expect(report.devices["0000:00:06.0"] == "quarantined EINVAL area-address-differs")
        #expect(report.devices["0000:00:03.0"] == "replaced - -")
        #expect(report.verdict == "degraded")
    }

    @Test(
        arguments: [
            ("00:06.0,", nil, "areas of 0000:00:06.0: ", " overlap"),
            ("00:04.0,", 0x9_0000_0000, "areas of 0000:00:03.0 and 0000:00:04.0: ", "must agree"),
        ] as [(String, UInt64?, String, String)])
    func `declared areas that contradict each other are refused by file and device`(
        device: String, iova: UInt64?, place: String, what: String
    ) throws {
        let folder = try ScratchFolder()
        let text = try String(contentsOfFile: Fixtures.images + "vtd48.truth.csv", encoding: .utf8)
        let first = try #require(text.split(separator: "\n").first { $0.hasPrefix(device) })
        var fields = first.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        if let iova { fields[2] = Truth.hex(iova) }
        try folder.write((text + fields.joined(separator: ",") + "\n").utf8, to: "areas.csv")
        let image = Fixtures.images + "vtd48"
        let run = try Binary.run(
            ["handover", "--image", image + ".elf", "--meta", image + ".json", "--store", folder["store"]]
                + ["--areas", folder["areas.csv"]])
        #expect(run.status == 2)
        #expect(run.errors.hasPrefix("domstore: \(folder["areas.csv"]): \(place)"), "\(run.errors)")
        #expect(run.errors.hasSuffix("\(what)\n"))
        #expect(folder.names == ["areas.csv"])
    }

    @Test(arguments: machines)
    func `the laboratory carries every function with all its PASIDs, and the record says so`(machine: Machine) throws {
        let run = try Run(machine.image, "--lab")
        var expected = machine.expected.mapValues { _ in "replaced - -" }
        if let alias = machine.alias { expected["0000:" + alias] = machine.expected["0000:" + alias] }
        // Nothing translates for the AMD IOMMU itself: there is nothing to carry.
        if machine.image == "amdv1" { expected["0000:00:01.0"] = "refused EINVAL preserve-domain" }
        // Nor for the functions of the Arm machine that have no group: their stream table entries abort.
        for device in machine.image == "smmuv3s2" ? ["00:00.0", "03:01.0", "03:02.0"] : [] {
            expected["0000:" + device] = "refused EINVAL preserve-domain"
        }
        #expect(run.report.devices == expected)
        let truth = Dictionary(grouping: try Truth.runs(of: machine.image), by: \.bdf)
        var found = try run.mappingsOfMemory()
        // The alias of a bridge is attached again with its group.
        if let alias = machine.alias { found[alias] = nil }
        #expect(found == truth)
        let events = try run.list(["events", run.store])
        #expect(events.contains { ($0["arguments"] as? String)?.contains("lab=1") == true })
    }

    @Test(arguments: [nil, "after-seal", "in-replace"])
    func `a device that must not be blocked translates on, whatever happens, and nobody gets it`(
        point: String?
    ) throws {
        let folder = try ScratchFolder()
        // 41:00.0 is alone in group 14 and belongs to a kernel driver.
        let text = try String(contentsOfFile: Fixtures.images + "vtd48.json", encoding: .utf8)
        let group = "\"group 14 type=DMA-FQ resv="
        try #require(text.contains(group))
        let direct = text.replacing(group, with: group + "0x0000000000000000,0x0000000000000fff,direct;")
        try folder.write(direct.utf8, to: "meta.json")
        let memory = ["--memory", folder["memory.elf"]]
        let handover = try Binary.run(
            ["handover", "--image", Fixtures.images + "vtd48.elf", "--meta", folder["meta.json"], "--json"] + memory
                + ["--store", folder["store"]] + (point.map { ["--crash-at", $0] } ?? []))
        var run = handover
        if point != nil {
            #expect(handover.status == 128 + SIGKILL)
            run = try Binary.run(["restore", folder["store"], "--record", folder["store"], "--json"] + memory)
        }
        #expect(run.status == 0, "\(run.errors)")
        let kept = try HandoverReportText(run.output).devices["0000:41:00.0"]
        #expect(kept == (point == nil ? "kept EINVAL preserve-dma-owner" : "kept - -"))
        let imported = folder["after.domstore"]
        #expect(try Binary.run(["import", "--meta", folder["memory.json"], "--store", imported]).status == 0)
        let csv = try Binary.run(["mappings", imported, "--format", "csv"]).output
        let devices = Self.preserved + ["41:00.0"]
        let truth = try Truth.runs(of: "vtd48").filter { devices.contains($0.bdf) }
        #expect(try Truth.runs(ofMappings: csv) == Dictionary(grouping: truth) { $0.bdf })
    }

    @Test(arguments: [("27-foreign-claim", "cold-boot"), ("25-nobody-claims", "degraded")])
    func `the nonce stays in memory until every session that came over is finished`(
        name: String, verdict: String
    ) throws {
        let folder = try ScratchFolder()
        let (store, memory) = (folder["store"], folder["memory.elf"])
        let run = try Binary.run([
            "handover", Fixtures.scenarios + name + ".json", "--store", store, "--memory", memory,
        ])
        #expect(run.status == 0, "\(run.errors)")
        let restored = try Binary.run(["restore", store, "--memory", memory])
        #expect(restored.lines.contains { $0.hasPrefix("verdict: \(verdict) ") }, "\(restored.output)")
    }
}
