import IOMMUModel
import Testing

@testable import Import

@Suite("Files of areas")
struct AreaCSVTests {
    static func read(_ text: String) throws(ImportError) -> [AreaCSV.Row] {
        try AreaCSV.read(bytes: Array(text.utf8), path: "areas.csv")
    }

    @Test("A truth file is read row by row, PASID 0 as untagged")
    func truth() throws {
        let rows = try AreaCSV.read(file: Fixtures.image("vtd48.truth.csv"))
        #expect(rows.count == 597)
        let first = try #require(rows.first)
        #expect(first.requester == RequesterID("00:03.0") && first.pasid == nil && first.backing == nil)
        #expect(first.range == IOVARange(first: IOVA(0x100000), last: IOVA(0x100fff)))
        #expect(first.offset == 0x1_452a_d000 && first.protection == .readWrite && first.source == "vfio")
        let tagged = try AreaCSV.read(file: Fixtures.image("vtdpasid.truth.csv"))
        #expect(tagged.contains { $0.pasid?.rawValue == 32767 } && tagged.contains { $0.pasid == nil })
    }

    @Test("Declared areas name their backing, a dash or nothing is untagged, 0 is a PASID")
    func declared() throws {
        let rows = try Self.read(
            """
            device,pasid,iova,last,protection,backing,offset\r
            0001:00:03.0,-,0x1000,0x2fff,rw,3,0x5000\r

            00:04.0,,0x1000,0x1fff,r,physical,0x7000
            00:04.0,0,0xfffffffffffff000,0xffffffffffffffff,w,physical,0
            """)
        #expect(rows.count == 3)
        #expect(rows[0].requester == RequesterID("0001:00:03.0") && rows[0].backing == BackingID(3))
        #expect(rows[0].offset == 0x5000 && rows[0].range.byteCount == 0x2000)
        #expect(rows[1].pasid == nil && rows[1].backing == nil)
        #expect(rows[2].pasid == PASID(0) && rows[2].range.last == IOVA(.max))
    }

    @Test("Each wrong field is named with its line")
    func errors() {
        let truth = "bdf,pasid,iova,len,pa,prot,source\n"
        let declared = "device,pasid,iova,last,protection,backing,offset\n"
        let cases: [(String, String)] = [
            ("", "line 1: found an empty file"), ("a,b\n", "line 1: expected the header device,"),
            (truth + "\n00:03.0,0,0x0,0x1000\n", "line 3: found 4 fields"),
            (truth + "00:20.0,0,0x0,0x1000,0x0,rw,x", "line 2: bdf: found \"00:20.0\""),
            (truth + "00:03.0,0x100000,0x0,0x1000,0x0,rw,x", "pasid: found"),
            (truth + "00:03.0,0,0x1,0x1000,0x0,rw,x", "iova: found \"0x1\""),
            (truth + "00:03.0,0,0x0,0,0x0,rw,x", "len: found \"0\""),
            (truth + "00:03.0,0,0xfffffffffffff000,0x2000,0x0,rw,x", "len: found \"0x2000\""),
            (truth + "00:03.0,0,0x0,0x1001,0x0,rw,x", "len"),
            (truth + "00:03.0,0,0x0,0x2000,0xfffffffffffff000,rw,x", "pa: found 0xfffffffffffff000"),
            (truth + "00:03.0,0,0x0,0x1000,0x0,x,x", "prot: found \"x\""),
            (declared + "00:03.0,-,0x1000,0xfff,rw,physical,0", "last: found \"0xfff\""),
            (declared + "00:03.0,-,0x1000,0x2000,rw,physical,0", "last: found \"0x2000\""),
            (declared + "00:03.0,-,0x1000,0x1fff,rw,file,0", "backing: found \"file\""),
            (declared + "00:03.0,-,0x1000,0x1fff,rw,1,1", "offset: found \"1\""),
            (declared + "00:03.0,x,0x1000,0x1fff,rw,1,0", "pasid: found \"x\""),
        ]
        for (text, expected) in cases {
            do throws(ImportError) {
                _ = try Self.read(text)
                Issue.record("accepted: \(text)")
            } catch {
                #expect(error.description.hasPrefix("areas.csv: line "), "\(error)")
                #expect(error.description.contains(expected), "\(error)")
            }
        }
    }
}
