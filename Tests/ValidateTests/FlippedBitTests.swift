import IOMMUModel
import PageTables
import Snapshot
import Testing

@testable import Validate

/// Between seal and restore nobody but the hardware may write to a table.
@Suite("One flipped bit in a table page")
struct FlippedBitTests {
    /// A word and the bit of it.
    private struct Flip {
        var page: PhysicalAddress
        var level: UInt8
        var word: Int
        var bit: Int
        var address: PhysicalAddress { PhysicalAddress(page.rawValue | UInt64(word) << 3) }
    }

    @Test("The audit finds each at its word, but for bits that the hardware updates", arguments: [UInt32(1), 2])
    func flips(domain: UInt32) throws {
        let machine = try TestMachine()
        let audit = Audit(machine.snapshot)
        let pages = try #require(machine.snapshot.tablePages.first { $0.domain == DomainID(domain) }?.pages)
        let mask = machine.snapshot.domainUnits.filter { $0.domain == DomainID(domain) }
            .reduce(0) { $0 | ($1.tables?.hardwareUpdatedMask ?? 0) }
        var (found, allowed) = (0, 0)
        for entry in pages.entries {
            for word in 0..<512 {
                let address = PhysicalAddress(entry.address.rawValue | UInt64(word) << 3)
                let recorded = machine.read(address)
                // Every bit of a word in use; of the others one each, another from word to word.
                let bits = recorded == 0 ? [(word &* 29 + Int(entry.level)) % 64] : Array(0..<64)
                for bit in bits {
                    let flip = Flip(page: entry.address, level: entry.level, word: word, bit: bit)
                    machine.write(recorded ^ 1 << UInt64(bit), flip.address)
                    let report = machine.withMemory { audit.run(DomainID(domain), memory: $0) }
                    machine.write(recorded, flip.address)
                    if mask >> UInt64(bit) & 1 == 1 {
                        #expect(report.isClean, "\(flip)")
                        allowed += 1
                        continue
                    }
                    #expect(!report.isClean, "\(flip)")
                    #expect(report.tableDifferences.map(\.entryAddress) == [flip.address], "\(flip)")
                    #expect(report.findings.contains { $0.rule == .tableMemoryDiffers && $0.address == flip.address })
                    found += 1
                }
            }
        }
        #expect(found > 512 && allowed > 0)
        #expect(machine.withMemory { audit.run(DomainID(domain), memory: $0) }.isClean)
    }
}
