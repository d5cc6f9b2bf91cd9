import Diff
import IOMMUModel
import Import
import PageTables
import Snapshot
import Testing
import Validate

/// Memory images that real kernels left, whole and with each of the damages that their descriptions name.
@Suite("Images and their damaged forms")
struct ImageDiffTests {
    private static let folder: String = {
        let parts = #filePath.split(separator: "/")
        return "/" + parts.dropLast(2).joined(separator: "/") + "/Fixtures/images/"
    }()

    struct Damage: Sendable, CustomTestStringConvertible {
        var image: String
        var name: String
        var testDescription: String { "\(image) \(name)" }
    }

    static let images = ["vtd48", "vtdpasid", "amdv1", "smmuv3s2"]

    static let damages: [Damage] = images.flatMap { image in
        ((try? ImageMetadata(file: folder + image + ".json").damages) ?? []).map { Damage(image: image, name: $0.name) }
    }

    static func snapshot(_ image: String, damage: String? = nil) throws -> Snapshot {
        let metadata = try ImageMetadata(file: folder + image + ".json")
        let machine = try MachineImage(file: folder + image + ".elf", metadata: metadata)
        if let damage { try machine.apply(damage: damage) }
        return try Importer.importMachine(machine)
    }

    @Test("An image does not differ from itself", arguments: images)
    func same(image: String) throws {
        let snapshot = try Self.snapshot(image)
        #expect(try StateComparison(snapshot, snapshot).compare().differences == [])
    }

    @Test("There are damages of every image")
    func covered() {
        for image in Self.images { #expect(Self.damages.count { $0.image == image } >= 6) }
    }

    @Test("Exactly the damage: the words that were changed, and what only follows from them", arguments: damages)
    func damage(damage: Damage) throws {
        let metadata = try ImageMetadata(file: Self.folder + damage.image + ".json")
        let patches = try metadata.damage(damage.name).patches
        let before = try Self.snapshot(damage.image)
        let after = try Self.snapshot(damage.image, damage: damage.name)
        let differences = try StateComparison(before, after).compare().differences

        // The changed words, no other: a table's by their addresses, an entry's by that of the entry that has them.
        let words = differences.filter { $0.subject == .tableEntry || $0.subject == .lookupEntry }
        #expect(words.count == patches.count)
        for patch in patches {
            let found = words.first { word in
                let first = word.address?.rawValue ?? .max
                return patch.address.rawValue >= first && patch.address.rawValue - first < 64
            }
            let word = try #require(found)
            if word.subject == .tableEntry {
                #expect(word.address == patch.address)
                #expect((word.before, word.after) == (hex(patch.old), hex(patch.new)))
            }
        }
        // Everything told of some requests is about those that the damage is about: of one device, or of all that share its
        // tables.
        let concerned = Set(differences.flatMap(\.requests).map(\.requester))
        let damaged = try #require(RequesterID("01:00.0").flatMap { concerned.contains($0) ? $0 : concerned.first })
        let domain = before.attachments.first { $0.requester == damaged }?.domain
        let sharing = before.attachments.filter { $0.domain == domain }.map(\.requester)
        #expect(concerned == [damaged] || concerned == Set(sharing))
        // What translations change is what the mappings of both sides say, request by request.
        let told = differences.filter { $0.subject == .mapping }
        let (old, new) = (try RecordedMachine(before).mappings(), try RecordedMachine(after).mappings())
        #expect(told.isEmpty == (old == new))
        for difference in told {
            let range = try #require(difference.range)
            for (mappings, text) in [(old, difference.before), (new, difference.after)] {
                let here = mappings.filter {
                    difference.requests.contains(.init($0.device, $0.pasid)) && $0.range.overlaps(range)
                }
                #expect(here.isEmpty == (text == nil))
            }
        }
        // Nothing else of the record.
        let subjects = Set(differences.map(\.subject))
        #expect(subjects.isDisjoint(with: [.unit, .memoryRange, .group, .device, .reservedRegion, .session, .area]))
    }

    @Test("What is too large to be read is said")
    func budget() throws {
        let snapshot = try Self.snapshot("vtd48")
        let small = try StateComparison(snapshot, snapshot, budget: ScanBudget(runs: 1)).compare()
        #expect(small.differences == [])
        #expect(small.unread.contains(.init(RequesterID("01:00.0")!)))
        #expect(try StateComparison(snapshot, snapshot).compare().unread == [])
    }

    @Test("Of very many words the first are told, and how many there are more")
    func wordLimit() throws {
        let before = try Self.snapshot("vtd48")
        var after = before
        let place = try #require(after.tablePages.indices.first { after.tablePages[$0].pages.count > 1 })
        var builder = PageSet()
        var words = [UInt64](repeating: 0, count: 512)
        var changed = 0
        for (index, entry) in before.tablePages[place].pages.entries.enumerated() {
            before.tablePages[place].pages.decode(index, into: &words)
            // An ignored bit of every leaf of 4 KiB.
            if entry.level == 0 {
                for word in words.indices where words[word] != 0 {
                    words[word] ^= 1 << 54
                    changed += 1
                }
            }
            builder.append(address: entry.address, level: entry.level, words: words)
        }
        after.tablePages[place].pages = builder
        try #require(changed > 7)
        let told = try StateComparison(before, after, wordLimit: 7).compare().differences
        #expect(told.count { $0.address != nil } == 7)
        #expect(told.filter { $0.address == nil }.map(\.what) == ["and \(changed - 7) words more"])
        #expect(try StateComparison(before, after, wordLimit: .max).compare().differences.count == changed)
    }

    @Test("The other way round gone is new, and what has changed has changed back", arguments: damages)
    func reversed(damage: Damage) throws {
        let before = try Self.snapshot(damage.image)
        let after = try Self.snapshot(damage.image, damage: damage.name)
        func texts(_ differences: [Difference], reversed: Bool) -> Set<String> {
            Set(
                differences.filter { $0.subject != .domain }.map {
                    let change = reversed ? ["gone": "new", "new": "gone"][$0.change.rawValue] : nil
                    let sides = reversed ? ($0.after, $0.before) : ($0.before, $0.after)
                    return
                        "\($0.subject) \(change ?? $0.change.rawValue) \($0.requests) \($0.range.map { "\($0)" } ?? "") "
                        + "\(sides.0 ?? "-") \(sides.1 ?? "-")"
                })
        }
        let there = try StateComparison(before, after).compare().differences
        let back = try StateComparison(after, before).compare().differences
        #expect(texts(there, reversed: false) == texts(back, reversed: true))
    }
}
