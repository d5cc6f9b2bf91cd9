import Foundation
import IOMMUModel
import Import
import Store
import Testing

@testable import Scenario

/// Two devices of one domain whose context entries have different DIDs, as a kernel that gives a tag per device leaves
/// them: the tables are handed over once, under both tags.
@Suite("A domain under two cache tags is handed over")
struct SeveralTagsTests {
    static let images =
        #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(2).joined(separator: "/")
        + "/Fixtures/images/"
    static let tag: UInt64 = 0x4321

    /// `vtd48` with another DID for 00:04.0, which shares its tables with 00:03.0.
    static func image() throws -> MachineImage {
        let image = try MachineImage(
            file: images + "vtd48.elf", metadata: try ImageMetadata(file: images + "vtd48.json"))
        let attachments = try Importer.importMachine(image).attachments
        let place = try #require(
            attachments.first { $0.requester == RequesterID("00:04.0") }?.entryAddress?.offset(by: 8))
        let word = try #require(image.memory.word(at: place))
        #expect(image.memory.setWord(word & ~0xff_ff00 | tag << 8, at: place))
        return image
    }

    @Test("Both devices are restored, and replaced like all others")
    func handedOver() throws {
        let image = try Self.image()
        try ScenarioRunTests.inFolder { folder in
            var options = ScenarioRunTests.options(folder)
            options.pagesPerDevice = 50
            let report = try HandoverRun.run(image, options: options)
            #expect(report.verdict == "restored", "\(report.verdictReason)")
            let pair = report.devices.filter { ["0000:00:03.0", "0000:00:04.0"].contains($0.requester.description) }
            #expect(pair.map(\.state) == [.replaced, .replaced], "\(pair.map(\.reason))")
            let sealed = try GenerationReader(path: folder + "/1.domstore").snapshot()
            let attachments = sealed.attachments.filter { attachment in
                pair.contains { $0.requester == attachment.requester }
            }
            #expect(Set(attachments.map(\.domain)).count == 1)
            #expect(attachments.map(\.cacheTag).last == UInt32(Self.tag))
            #expect(sealed.cacheTags[attachments[0].domain]?.count == 2)
        }
    }
}
