import IOMMUModel
import Testing

@Suite("Addresses, ranges and ids")
struct AddressTests {
    @Test("A range holds both its ends and may reach the last byte of the space")
    func inclusive() throws {
        let top = try #require(IOVARange(first: IOVA(0xffff_ffff_ffff_f000), bytes: 4096))
        #expect(top.last == IOVA(.max))
        #expect(top.contains(IOVA(.max)))
        #expect(IOVARange(first: IOVA(0xffff_ffff_ffff_f000), bytes: 4097) == nil)
        #expect(IOVARange(first: IOVA(1), bytes: 0) == nil)
        #expect(IOVARange(first: IOVA(2), last: IOVA(1)) == nil)
        #expect(IOVARange.all.byteCount == nil)
        #expect(top.byteCount == 4096)
    }

    @Test("Ranges that only touch do not overlap")
    func overlap() throws {
        let a = try #require(IOVARange(first: IOVA(0), last: IOVA(9)))
        let b = try #require(IOVARange(first: IOVA(10), last: IOVA(19)))
        let c = try #require(IOVARange(first: IOVA(9), last: IOVA(10)))
        #expect(!a.overlaps(b))
        #expect(a.overlaps(c) && c.overlaps(b))
        #expect(a.intersection(c) == IOVARange(first: IOVA(9), last: IOVA(9)))
        #expect(a.intersection(b) == nil)
    }

    @Test("Addresses print as 16 digits and sort as text")
    func text() {
        #expect(IOVA(0x1000).description == "0x0000000000001000")
        #expect(hex(0x12, digits: 4) == "0x0012")
        #expect(parseInteger("0x1000") == 4096)
        #expect(parseInteger("17") == 17)
        for bad in ["", "0x", "0xg", "-1", "+1", "0x+1", "1 ", "18446744073709551616", "0x10000000000000000"] {
            #expect(parseInteger(bad) == nil, "\(bad)")
        }
    }

    @Test("A requester id prints and reads with a segment of any width")
    func requester() {
        let id = RequesterID(segment: 0x10000, rid: 0x3aaa)
        #expect(id.description == "10000:3a:15.2")
        #expect(RequesterID("10000:3a:15.2") == id)
        #expect(RequesterID("3a:15.2") == RequesterID(segment: 0, rid: 0x3aaa))
        for bad in [
            "", "3a", "3a:20.0", "3a:1f.8", "1:2:3:4.0", "0:0:0", "x:0.0", "+3a:15.2", "-0:0.0", "-0:3a:15.2",
            "3a:+1.0", "3a:1.-0",
        ] {
            #expect(RequesterID(bad) == nil, "\(bad)")
        }
    }

    @Test("A PASID has 20 bits and untagged sorts first")
    func pasid() {
        #expect(PASID(0xf_ffff) != nil)
        #expect(PASID(0x10_0000) == nil)
        #expect(Optional<PASID>.precedes(nil, PASID(0)))
        #expect(!Optional<PASID>.precedes(PASID(0), nil))
        #expect((nil as PASID?).label == "-")
        #expect((PASID(0) as PASID?).label == "0x0")
    }

    @Test("Every errno has its symbol", arguments: Errno.allCases)
    func errno(value: Errno) { #expect(Errno(symbol: value.name) == value) }

    @Test("Errno numbers are Linux's")
    func errnoNumbers() {
        #expect(Errno.EBUSY.rawValue == 16 && Errno.EBUSY.name == "EBUSY")
        #expect(Errno.EOPNOTSUPP.rawValue == 95)
        #expect(Errno.EADDRINUSE.rawValue == 98)
    }

    @Test("Event arguments survive their text form")
    func eventText() {
        let event = Event(
            sequence: 1, timeNanoseconds: 2, kind: .operation, name: "map",
            arguments: [.init("iova", IOVA(4096)), .init("bytes", 4096 as UInt64)], errno: .EEXIST)
        #expect(event.argumentText == "iova=0x0000000000001000 bytes=4096")
        #expect(Event.arguments(fromText: event.argumentText) == event.arguments)
        #expect(event["bytes"] == "4096")
        #expect(Event.arguments(fromText: "x") == nil)
    }
}
