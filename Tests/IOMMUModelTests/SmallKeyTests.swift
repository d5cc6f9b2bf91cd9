import IOMMUModel
import Testing

@Suite("Hashes of small keys")
struct SmallKeyTests {
    /// Of 4,096 keys, in a table of twice as many places: chance gives 3,224 different ones.
    private static func places(_ keys: [some SmallKey], seed: Int) -> Int {
        Set(keys.map { $0._rawHashValue(seed: seed) & 0x1fff }).count
    }

    @Test("Keys in a row, and keys far apart at even distances, lie apart", arguments: [0, 0x7f12_3456_7890, -16])
    func spread(seed: Int) {
        #expect(Self.places((0..<4096).map { RequesterID(segment: 0, rid: $0) }, seed: seed) > 2900)
        #expect(Self.places((0..<4096).map { RequesterID(segment: 0x10000 + $0, rid: 0) }, seed: seed) > 2900)
        #expect(Self.places((0..<4096).map { PASID($0 << 6)! }, seed: seed) > 2900)
        for shift in [12, 21, 30, 39, 48] as [UInt64] {
            #expect(Self.places((0..<4096).map { PhysicalAddress($0 << shift) }, seed: seed) > 2900)
        }
        #expect(Self.places((0..<4096).map { UnitID($0 << 16) }, seed: seed) > 2900)
    }

    @Test("Untagged is not PASID 0")
    func untagged() {
        #expect(PASID?.none.hashPart != (PASID(0) as PASID?).hashPart)
        #expect((PASID(PASID.maximum) as PASID?).hashPart == 1 << 20)
    }

    @Test("The hash is the one that sets and dictionaries use")
    func isUsed() {
        struct Counted: SmallKey {
            nonisolated(unsafe) static var calls = 0
            var hashWord: UInt64 {
                Self.calls += 1
                return 7
            }
        }
        _ = Set([Counted()])
        #expect(Counted.calls > 0)
    }

    @Test("An argument of an event equals the one that was read back from its text")
    func arguments() {
        let made: [Event.Argument] = [
            .init("device", RequesterID(segment: 0, rid: 0x308)), .init("pasid", PASID(0x1f)!),
            .init("domain", DomainID(17)), .init("iova", IOVA(0x20_0000)), .init("name", "guest"), .init("count", 3),
        ]
        let event = Event(sequence: 1, timeNanoseconds: 1, kind: .operation, name: "map", arguments: made)
        #expect(
            event.argumentText
                == "device=0000:03:01.0 pasid=0x1f domain=17 iova=0x0000000000200000 name=guest count=3")
        let read = Event.arguments(fromText: event.argumentText)
        #expect(read == made)
        #expect(read.map { Set($0) } == Set(made))
        #expect(Event.Argument("domain", DomainID(17)) != .init("domain", DomainID(18)))
    }
}
