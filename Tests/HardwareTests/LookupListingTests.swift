import Hardware
import IOMMUModel
import Testing

@Suite("Finding an entry in a listing")
struct LookupListingTests {
    @Test("Every entry is found from every guess; what is not listed is not found")
    func index() {
        var listing = LookupListing(root: PhysicalAddress(0x1000))
        let keys: [(UInt16, UInt32?)] = [(8, nil), (8, 1), (8, 5), (9, nil), (0x108, 0), (0x108, 0xf_ffff)]
        listing.entries = keys.map { rid, pasid in
            .init(
                rid: rid, pasid: pasid.flatMap { PASID($0) }, entryAddress: PhysicalAddress(0),
                deviceEntryAddress: PhysicalAddress(0), resolution: .untranslated)
        }
        for guess in -1...keys.count {
            for (place, entry) in listing.entries.enumerated() {
                #expect(listing.index(of: entry.rid, pasid: entry.pasid, guess: guess) == place)
            }
            for (rid, pasid) in [(7, nil), (8, 0), (8, 6), (9, 1), (0x108, nil), (0x109, nil)] as [(UInt16, UInt32?)] {
                #expect(listing.index(of: rid, pasid: pasid.flatMap { PASID($0) }, guess: guess) == nil)
            }
        }
        #expect(LookupListing(root: PhysicalAddress(0)).index(of: 0, pasid: nil) == nil)
    }
}
