import Hardware
import Snapshot
import Testing

@Suite("Lookup pages have the same numbers in a snapshot and in a listing of the hardware")
struct LookupLevelTests {
    static let levels: [LookupListing.Page.Kind: UInt8] = [
        .vtdRoot: LookupLevel.vtdRoot, .vtdContext: LookupLevel.vtdContext,
        .vtdScalableContext: LookupLevel.vtdScalableContext, .vtdPASIDDirectory: LookupLevel.vtdPASIDDirectory,
        .vtdPASIDTable: LookupLevel.vtdPASIDTable, .amdDeviceTable: LookupLevel.amdDeviceTable,
        .amdGCR3Level1: LookupLevel.amdGCR3Level1, .amdGCR3Level2: LookupLevel.amdGCR3Level2,
        .amdGCR3Level3: LookupLevel.amdGCR3Level3, .smmuStreamTable: LookupLevel.smmuStreamTable,
        .smmuStreamTableLevel1: LookupLevel.smmuStreamTableLevel1,
    ]

    @Test("Each kind of page", arguments: LookupListing.Page.Kind.allCases)
    func numbers(_ kind: LookupListing.Page.Kind) {
        #expect(Self.levels[kind] == kind.rawValue)
    }
}
