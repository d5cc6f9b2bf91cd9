import Foundation
import IOMMUModel
import Import
import PageTables
import Snapshot
import Store
import Testing

@testable import Scenario

/// Between freeze and replace nobody but the hardware writes to a table page; looked at through the memory file, while
/// the run goes on, on a machine whose hardware sets accessed and dirty bits and whose devices do DMA.
@Suite("Tables stay constant up to the replace")
struct ConstantTablesTests {
    /// The words of the sealed table pages as memory has them now.
    struct Look {
        var masked: [UInt64] = []
        var raw: [UInt64] = []
        /// The two words of each preserved device's context entry.
        var entries: [UInt64] = []
    }

    static let accessedDirty: UInt64 = 0x300

    static func look(_ memory: String, _ pages: [PageSet.Entry], _ attachments: [AttachmentRecord]) throws -> Look {
        let image = try ELFCore.open(memory)
        var look = Look()
        for page in pages {
            let words = try #require(image.page(at: page.address))
            for index in 0..<512 {
                look.raw.append(words[index])
                look.masked.append(words[index] & ~accessedDirty)
            }
        }
        for attachment in attachments {
            let address = try #require(attachment.entryAddress)
            look.entries.append(try #require(image.word(at: address)))
            look.entries.append(try #require(address.offset(by: 8).flatMap { image.word(at: $0) }))
        }
        return look
    }

    @Test("Memory equals the sealed pages under the mask at every stage, and only there")
    func constant() throws {
        let scenario = try ScenarioFile.read(
            ScenarioFileTests.bytes("accessed-dirty.json"), file: "accessed-dirty.json")
        try ScenarioRunTests.inFolder { folder in
            let memory = folder + ".elf"
            defer {
                try? FileManager.default.removeItem(atPath: memory)
                try? FileManager.default.removeItem(atPath: folder + ".json")
            }
            var options = ScenarioRunTests.options(folder)
            options.memory = memory
            var looks: [String: Look] = [:]
            var sealed: Snapshot?
            options.tell = { phase in
                if sealed == nil, phase.phase == .seal {
                    sealed = try GenerationReader(path: folder + "/1.domstore").snapshot()
                }
                guard let sealed else { return }
                looks[phase.phase.rawValue] = try Self.look(
                    memory, sealed.tablePages.flatMap(\.pages.entries), sealed.attachments)
            }
            _ = try HandoverRun.run(scenario, options: options)

            let pages = try #require(sealed).tablePages.flatMap(\.pages.entries)
            #expect(pages.count == 5)
            var recorded: [UInt64] = []
            for domain in try #require(sealed).tablePages {
                for index in domain.pages.entries.indices {
                    recorded += [UInt64](unsafeUninitializedCapacity: 512) { buffer, count in
                        if let base = buffer.baseAddress { domain.pages.decode(index, into: base) }
                        count = 512
                    }
                }
            }
            let first = try #require(looks["seal"])
            #expect(first.raw == recorded)
            for phase in ["jump", "restore", "audit", "claim", "adopt", "rebuild", "compare"] {
                let look = try #require(looks[phase])
                #expect(look.masked == first.masked, "\(phase)")
                #expect(look.entries == first.entries, "\(phase)")
            }
            // The devices really wrote: the mask is needed.
            #expect(looks["compare"]?.raw != first.raw)
            let after = try #require(looks["replace"])
            #expect(after.entries != first.entries)
            let root = try #require(pages.first { $0.level == 3 }).address
            #expect(after.entries[0] & ~0xfff != root.rawValue)
        }
    }
}
