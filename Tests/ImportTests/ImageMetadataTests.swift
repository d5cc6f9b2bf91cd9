import IOMMUModel
import Snapshot
import Testing

@testable import Import

@Suite("Meta files")
struct ImageMetadataTests {
    static func read(_ text: String) throws(ImportError) -> ImageMetadata {
        try ImageMetadata(bytes: Array(text.utf8), path: "meta.json")
    }

    @Test("The meta file of a real machine is read whole")
    func real() throws {
        let meta = try ImageMetadata(file: Fixtures.image("vtd48.json"))
        #expect(meta.name == "vtd48")
        #expect(meta.units.count == 1)
        #expect(meta.units[0].kind == .intelVTd)
        #expect(meta.units[0].registers.count == 8, "registers that are not needed are recorded too")
        #expect(meta.units[0][register: "rtaddr"] == 0x1_43ff_5000)
        #expect(meta.units[0].dmar?.hostAddressWidth == 48)
        #expect(meta.functions.count == 19)
        let nvme = try #require(meta.functions.first { $0.requester == RequesterID("02:00.0") })
        #expect(nvme.vendorID == 0x1b36 && nvme.deviceID == 0x0010 && nvme.classCode == 0x010802)
        #expect(nvme.driver == "nvme" && nvme.group == GroupID(12) && !nvme.hasSegment)
        #expect(meta.functions.first?.driver == "")
        #expect(meta.groups.count == 15)
        let isa = try #require(meta.groups.first { $0.id == GroupID(10) })
        #expect(isa.regions.map(\.kind) == [.directRelaxable, .msi])
        #expect(isa.regions[0].range == IOVARange(first: IOVA(0), last: IOVA(0xff_ffff)))
        #expect(meta.ram.count == 3)
        #expect(meta.damages.map(\.name).count == 6)
        #expect(
            try meta.damage("loop").patches == [
                .init(address: .init(0x1_44d5_6048), old: 0x1_44b5_f003, new: 0x1_44d5_6003)
            ])
    }

    @Test(
        "The meta files of all machines are read, whatever their IOMMU", arguments: ["vtdpasid", "amdv1", "smmuv3s2"])
    func others(name: String) throws {
        let meta = try ImageMetadata(file: Fixtures.image(name + ".json"))
        #expect(meta.name == name)
        #expect(!meta.functions.isEmpty && !meta.units[0].registers.isEmpty)
    }

    @Test("Units, platform, segments and numbers may be written in several ways")
    func forms() throws {
        let meta = try Self.read(
            """
            {"iommu": "intel-vtd", "platform": {"haw": "46"}, "unknown": [1, {"x": null}],
             "units": [{"registers": {"RTADDR": "0x1000", "cap": 6}, "register_base": "0xfed90000", "segment": 65536},
                       {"registers": {"rtaddr": "8192"}, "host_address_width": 39}],
             "pci_functions": [{"bdf": "10000:01:02.3", "group": 4, "ats": true}, {"bdf": "01:00.0"}],
             "iommu_groups": ["group 4 type=identity resv="], "ram": [["0x1000", 8191]]}
            """)
        #expect(meta.hostAddressWidth == 46)
        #expect(meta.units[0][register: "rtaddr"] == 0x1000 && meta.units[0][register: "cap"] == 6)
        #expect(meta.units[0].segment == 0x10000 && meta.units[0].registerBase == PhysicalAddress(0xfed9_0000))
        #expect(meta.units[1][register: "rtaddr"] == 8192 && meta.units[1].hostAddressWidth == 39)
        #expect(meta.functions[0].requester == RequesterID("10000:01:02.3") && meta.functions[0].hasSegment)
        #expect(meta.functions[0].atsEnabled == true && meta.functions[0].group == GroupID(4))
        #expect(meta.functions[1].group == nil && !meta.functions[1].hasSegment)
        #expect(meta.groups[0].regions.isEmpty)
    }

    @Test("Each wrong value is named with its place, what was found and what was expected")
    func errors() {
        let head = #"{"iommu": "intel-vtd", "registers": {}, "#
        let cases: [(String, String)] = [
            ("", "line 1, offset 0: found the end of the file, expected JSON"),
            ("[]", "the file: found a list, expected an object"),
            ("{}", "the file: found no \"registers\""),
            (#"{"registers": {}}"#, "iommu: found none, expected intel-vtd"),
            (#"{"iommu": "vax", "registers": {}}"#, "iommu: found \"vax\""),
            (#"{"iommu": "intel-vtd", "units": []}"#, "units: found none"),
            (#"{"iommu": "intel-vtd", "units": [{}]}"#, "units[0]: found no \"registers\""),
            (#"{"iommu": "intel-vtd", "registers": {"cap": "0xzz"}}"#, "registers.cap: found an unusable value"),
            (#"{"iommu": "intel-vtd", "registers": {"cap": -1}}"#, "registers.cap"),
            (#"{"iommu": "intel-vtd", "registers": {"a b": 1}}"#, "registers: found \"a b\""),
            (#"{"iommu": "intel-vtd", "registers": {"Cap": 1, "cap": 2}}"#, "twice"),
            (head + #""register_base": 1}"#, "register_base: found 0x0000000000000001"),
            (head + #""segment": 4294967296}"#, "segment: found"),
            (head + #""acpi": {"DMAR": "4x"}}"#, "acpi.DMAR: found other text"),
            (head + #""acpi": {"DMAR": "444"}}"#, "acpi.DMAR: found other text"),
            (head + #""acpi": {"DMAR": "44444444"}}"#, "acpi.DMAR: found DMAR table ends at byte 4"),
            (head + #""pci_functions": [{}]}"#, "pci_functions[0]: found no \"bdf\""),
            (head + #""pci_functions": [{"bdf": "1:2"}]}"#, "pci_functions[0].bdf: found \"1:2\""),
            (head + #""pci_functions": [{"bdf": "00:1f.0", "vendor": "10000"}]}"#, "pci_functions[0].vendor"),
            (head + #""pci_functions": [{"bdf": "00:1f.0", "group": "x"}]}"#, "pci_functions[0].group"),
            (head + #""pci_functions": [{"bdf": "00:1f.0", "group": 2147483648}]}"#, "below 2^31"),
            (head + #""iommu_groups": ["grp 1"]}"#, "iommu_groups[0]: found \"grp 1\""),
            (head + #""iommu_groups": ["group 1 resv=5,4,msi;"]}"#, "iommu_groups[0]"),
            (head + #""iommu_groups": ["group 1 resv=4,5,odd;"]}"#, "expected direct, direct-relaxable"),
            (head + #""ram": [["0x2000", "0x1000"]]}"#, "ram[0]: found [0x2000, 0x1000]"),
            (head + #""ram": [["0x2000"]]}"#, "ram[0]"),
            (head + #""damaged": [{"name": "x", "patch": [{"address": 4, "old": 0, "new": 1}]}]}"#, "8-byte aligned"),
        ]
        for (text, expected) in cases {
            do throws(ImportError) {
                _ = try Self.read(text)
                Issue.record("accepted: \(text)")
            } catch {
                #expect(error.description.hasPrefix("meta.json: "), "\(error)")
                #expect(error.description.contains(expected), "\(error)")
                #expect(!error.description.contains("\n"), "\(error)")
            }
        }
    }

    @Test("No cut-off or changed meta file traps")
    func fuzz() throws {
        let bytes = try Fixtures.bytes(Fixtures.image("vtd48.json"))
        var generator = SeededGenerator(seed: 0x5eed_3e7a)
        var refused = 0
        for round in 0..<1_000 {
            var changed = bytes
            if round % 5 == 0 { changed.removeLast(Int.random(in: 1..<bytes.count, using: &generator)) }
            for _ in 0..<Int.random(in: 1...4, using: &generator) where !changed.isEmpty {
                let index = changed.indices.randomElement(using: &generator)!
                changed[index] = UInt8.random(in: 0...255, using: &generator)
            }
            do throws(ImportError) { _ = try ImageMetadata(bytes: changed, path: "x") } catch { refused += 1 }
        }
        #expect(refused > 300)
    }

    @Test("Several meta files become one machine")
    func merged() throws {
        let one = try Self.read(
            """
            {"name": "a", "iommu": "intel-vtd", "registers": {"cap": 1}, "register_base": 4096,
             "pci_functions": [{"bdf": "00:01.0"}], "ram": [["0x0", "0xfff"]],
             "iommu_groups": ["group 1 resv=0xfee00000,0xfeefffff,msi;"]}
            """)
        let two = try Self.read(
            """
            {"name": "b", "iommu": "intel-vtd", "registers": {"cap": 2}, "register_base": 8192,
             "pci_functions": [{"bdf": "00:01.0"}, {"bdf": "00:02.0"}], "ram": [["0x0", "0xfff"]],
             "iommu_groups": ["group 1 resv=0xfee00000,0xfeefffff,msi;", "group 2"]}
            """)
        let both = try #require(ImageMetadata.merged([one, two]))
        #expect(both.units.map { $0[register: "cap"] } == [1, 2])
        #expect(both.functions.map(\.requester) == [RequesterID("00:01.0"), RequesterID("00:02.0")])
        #expect(both.groups.map(\.id) == [GroupID(1), GroupID(2)])
        #expect(both.ram.count == 1)
        #expect(ImageMetadata.merged([]) == nil)
    }
}
