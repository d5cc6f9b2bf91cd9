import IOMMUModel
import Testing

@testable import Validate

@Suite struct FindingTests {
    @Test func `findings sort by device, PASID, IOVA, address and rule`() {
        let a = RequesterID(segment: 0, rid: 8)
        let b = RequesterID(segment: 0, rid: 9)
        let sorted = [
            Finding(.referenceUnresolved, ""),
            Finding(.tableReused, device: a, ""),
            Finding(.tableReused, device: a, address: PhysicalAddress(8), iova: IOVA(0), ""),
            Finding(.tableReservedBits, device: a, address: PhysicalAddress(16), iova: IOVA(0), ""),
            Finding(.tableReused, device: a, address: PhysicalAddress(16), iova: IOVA(0), ""),
            Finding(.tableReused, device: a, address: PhysicalAddress(0), iova: IOVA(4096), ""),
            Finding(.tableReused, device: a, pasid: PASID(0), ""),
            Finding(.tableReused, device: b, iova: IOVA(0), ""),
        ]
        #expect(sorted.reversed().sorted() == sorted)
        #expect(sorted.shuffled().sorted() == sorted)
    }

    @Test func `a log keeps each finding once and counts what is over the bound`() {
        var log = FindingLog(limitPerRule: 3)
        for round in 0..<2 {
            for number in 0..<5 {
                log.add(Finding(.areaOverlap, iova: IOVA(UInt64(number)), "round of three"))
                if round == 0 { log.add(Finding(.backingAssumed, "same")) }
            }
        }
        let findings = log.sorted()
        #expect(findings.filter { $0.rule == .areaOverlap && $0.iova != nil }.count == 3)
        #expect(findings.filter { $0.rule == .backingAssumed }.count == 1)
        #expect(findings.contains { $0.rule == .areaOverlap && $0.message.contains("4 more") })
    }
}
