import Hardware
import IOMMUModel
import PageTables
import Snapshot

extension RuleCase {
    static let records: [RuleCase] = [
        RuleCase(rule: .recordMalformed, name: "a host address width of 60") {
            $0.snapshot.units[0].hostAddressWidth = 60
            return nil
        },
        RuleCase(rule: .recordMalformed, name: "an encryption bit below the pages") {
            $0.snapshot.units[0].encryptionBit = 11
            return nil
        },
        RuleCase(rule: .recordMalformed, name: "an attachment without a cache tag", device: TestMachine.second) {
            $0.snapshot.attachments[1].cacheTag = nil
            $0.snapshot.devices[1].preserved = false
            $0.enter(TestMachine.second, VTDContextEntry(low: 0, high: 0))
            try $0.record()
            return nil
        },
        RuleCase(rule: .recordMalformed, name: "a cache tag of a blocked attachment", device: TestMachine.second) {
            $0.snapshot.domains.append(DomainRecord(id: DomainID(4), kind: .blocked, holder: .core))
            $0.snapshot.attachments[1].domain = DomainID(4)
            $0.snapshot.devices[1].preserved = false
            $0.enter(TestMachine.second, VTDContextEntry(low: 0, high: 0))
            try $0.record()
            return nil
        },
        RuleCase(rule: .recordMalformed, name: "a nested domain without a parent") {
            $0.nest(DomainID(4), in: nil)
            return nil
        },
        RuleCase(rule: .recordMalformed, name: "a parent of a domain that is not nested") {
            $0.snapshot.domains[1].parent = DomainID(1)
            return nil
        },
        RuleCase(rule: .recordMalformed, name: "a parent that is not paging") {
            $0.nest(DomainID(4), in: DomainID(3))
            return nil
        },
        RuleCase(rule: .recordMalformed, name: "a nested domain with tables of the second stage") {
            $0.nest(DomainID(4), in: DomainID(1), format: .vtdSecondStage)
            return nil
        },
        RuleCase(rule: .referenceUnresolved, name: "a parent that is not recorded") {
            $0.nest(DomainID(4), in: DomainID(9))
            return nil
        },
        RuleCase(rule: .recordMalformed, name: "two HWPTs with one token") {
            $0.snapshot.hwpts[1].token = 1
            return nil
        },
        RuleCase(rule: .recordMalformed, name: "a page recorded twice with different content") { machine in
            var pages = machine.snapshot.tablePages[1].pages
            let page = machine.snapshot.tablePages[0].pages.entries[0].address
            var all = pages.entries.enumerated().map { ($0.element.address, $0.element.level, $0.offset) }
            all.append((page, 2, -1))
            all.sort { $0 < $1 }
            let words = UnsafeMutablePointer<UInt64>.allocate(capacity: 512)
            defer { words.deallocate() }
            var result = PageSet()
            for (address, level, index) in all {
                if index < 0 { words.update(repeating: 0, count: 512) } else { pages.decode(index, into: words) }
                result.append(address: address, level: level, words: words)
            }
            pages = result
            machine.snapshot.tablePages[1].pages = pages
            return page
        },
        RuleCase(rule: .referenceUnresolved, name: "a device on no unit", device: TestMachine.first) {
            $0.snapshot.devices[0].unit = UnitID(9)
            return nil
        },
        RuleCase(rule: .referenceUnresolved, name: "an HWPT of no IOAS") {
            $0.snapshot.hwpts[1].ioas = IOASID(9)
            return nil
        },
        RuleCase(
            rule: .requesterWithoutFunction, name: "an alias", severity: .warning, device: TestMachine.first
        ) {
            $0.snapshot.devices[0].hasFunction = false
            return nil
        },
    ]
}
