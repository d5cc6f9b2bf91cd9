import Foundation
import Testing

/// The image of a host of profile X: 1,024 devices with ten or eleven PASIDs each on a domain of its own, 100,000 table pages
/// of 4 KiB mappings in more than a million areas, an eighth of the pages in small pieces.
///
/// Takes a minute and 2 GiB: with the optimised program, in the soak.
@Suite(
    "The handover of an image with a million areas",
    .enabled(if: ProcessInfo.processInfo.environment["DOMSTORE_LARGE"] != nil))
struct LargeImageTests {
    private static let devices = 1024
    private static let base: UInt64 = 1 << 32
    private static let data: UInt64 = 1 << 40

    @Test("Every request is replaced; at its most the process has 1.5 times the memory of its tables")
    func memory() throws {
        let folder = try ScratchFolder()
        let made = try Self.write(in: folder)
        #expect(made.areas > 1_000_000 && made.requests > 11_000)
        let handover = try MeasuredHandover([
            "--image", folder["x.elf"], "--meta", folder["x.json"], "--store", folder["out"],
        ])
        let report = handover.report
        #expect(report.verdict == "restored")
        #expect(report.devices.count == made.requests)
        #expect(report.devices.values.allSatisfy { $0.hasPrefix("replaced ") })
        #expect(report.phases.first { $0.name == "rebuild" }?.counts["areas"] == UInt64(made.areas))
        let ratio = try handover.ratio(generation: folder["out"])
        #expect(ratio <= 1.5)
        print("profile X: \(made.areas) areas, \(handover.peakBytes >> 20) MiB at most, \(ratio) times the tables")
    }

    private static func write(in folder: ScratchFolder) throws -> (requests: Int, areas: Int) {
        var tables = Tables(base: base, capacity: 110_000)
        defer { tables.words.deallocate() }
        let root = tables.page()
        var contexts: [Int: UInt64] = [:]
        var requests = devices
        var areas = 0
        var random: UInt64 = 1
        func below(_ count: UInt64) -> UInt64 {
            random = random &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (random >> 33) % count
        }
        for device in 0..<devices {
            // Half a bus's worth of devices to each context table (VT-d 9.2, scalable mode).
            let context = contexts[device >> 7] ?? tables.page()
            contexts[device >> 7] = context
            tables[root + UInt64(device >> 7) * 8] = context | 1
            let (directory, entries) = (tables.page(), tables.page())
            tables[context + UInt64(device & 127) * 32] = directory | 1 | 8
            tables[directory] = entries | 1
            let (top, middle, low) = (tables.page(), tables.page(), tables.page())
            tables[top] = middle | 3
            tables[middle] = low | 3
            let leaves = device % 3 == 0 ? 94 : 95
            var left: UInt64 = 0
            var frame: UInt64 = 0
            for number in 0..<leaves {
                let leaf = tables.page()
                tables[low + UInt64(number) * 8] = leaf | 3
                for index in 0..<512 as Range<UInt64> {
                    if left == 0 {
                        left = below(number % 8 == 0 ? 20 : 98) + 1
                        frame = data + below(1 << 24) << 12
                        areas += 1
                    }
                    tables[leaf + index * 8] = frame | 3
                    frame += 4096
                    left -= 1
                }
            }
            let pasids = device % 5 == 0 ? 10 : 11
            requests += pasids - 1
            for pasid in 0..<pasids {
                let entry = entries + UInt64(pasid) * 64
                // Second stage, 48 bits, present (VT-d 9.6).
                tables[entry] = top | 1 | 2 << 2 | 2 << 6
                tables[entry + 8] = UInt64(device + 1)
            }
        }
        try tables.elfCore.write(to: URL(fileURLWithPath: folder["x.elf"]))
        try JSONSerialization.data(withJSONObject: metadata(root: root)).write(
            to: URL(fileURLWithPath: folder["x.json"]))
        return (requests, areas)
    }

    /// As a kernel's images say it.
    private static func metadata(root: UInt64) throws -> [String: Any] {
        let image = try Data(contentsOf: URL(fileURLWithPath: Fixtures.images + "vtdpasid.json"))
        let known = try #require(try JSONSerialization.jsonObject(with: image) as? [String: Any])
        let registers = try #require(known["registers"] as? [String: String])
        func text(_ value: UInt64) -> String { "0x" + String(value, radix: 16) }
        return [
            "name": "x", "iommu": "intel-vtd", "image": "x.elf", "host_address_width": 46,
            "registers": [
                "rtaddr": text(root | 1 << 10), "cap": registers["cap"], "ecap": registers["ecap"],
                "gsts": "0xc0000000",
            ],
            "pci_functions": (0..<devices).map {
                [
                    "bdf": String(format: "%02x:%02x.%x", $0 >> 8, $0 >> 3 & 31, $0 & 7), "vendor": "8086",
                    "device": "10d3", "cls": "020000", "group": "\($0)", "group_type": "DMA", "driver": "vfio-pci",
                ]
            },
            "ram": [
                ["0x100000", "0x7fffffff"], [text(base), text(base + 0xffff_ffff)],
                [text(data), text(data + 1 << 36 + 1 << 30 - 1)],
            ],
        ]
    }

    /// Pages of tables in a row, from `base` on.
    private struct Tables {
        let base: UInt64
        let words: UnsafeMutablePointer<UInt64>
        private var pages = 0

        init(base: UInt64, capacity: Int) {
            self.base = base
            words = .allocate(capacity: capacity * 512)
            words.initialize(repeating: 0, count: capacity * 512)
        }

        mutating func page() -> UInt64 {
            pages += 1
            return base + UInt64(pages - 1) << 12
        }

        subscript(address: UInt64) -> UInt64 {
            get { words[Int(address - base) / 8] }
            nonmutating set { words[Int(address - base) / 8] = newValue }
        }

        /// One segment.
        var elfCore: Data {
            var header: [UInt64] = [
                0x0001_0102_464c_457f, 0, 1 << 32 | 62 << 16 | 4, 0, 64, 0, 56 << 48 | 64 << 32, 1,
            ]
            header += [6 << 32 | 1, 4096, base, base, UInt64(pages) << 12, UInt64(pages) << 12, 4096]
            var data = header.withUnsafeBytes { Data($0) }
            data.count = 4096
            data.append(Data(bytesNoCopy: words, count: pages << 12, deallocator: .none))
            return data
        }
    }
}
