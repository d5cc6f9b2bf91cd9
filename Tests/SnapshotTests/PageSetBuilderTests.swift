import IOMMUModel
import Testing

@testable import Snapshot

@Suite("Page sets as they are collected")
struct PageSetBuilderTests {
    private static func entry(_ page: UInt64, _ start: UInt32, _ end: UInt32) -> PageSet.Entry {
        .init(address: PhysicalAddress(page: page), level: 0, start: start, end: end)
    }

    private static func add(_ entries: [PageSet.Entry], _ bytes: [UInt8], to builder: inout PageSetBuilder) {
        var entries = entries
        entries.withUnsafeMutableBufferPointer { entries in
            bytes.withUnsafeBytes { builder.add(entries, encoded: $0) }
        }
    }

    private static let empty: [UInt8] = [1, 0x80, 0x10]

    @Test(
        "Rows in order are one set as they come, one that is out of order, or whose bytes are not all of a page, as well"
    )
    func rows() {
        var plain = PageSet()
        for page in 1...4 as ClosedRange<UInt64> {
            Self.empty.withUnsafeBytes { plain.append(address: PhysicalAddress(page: page), level: 0, encoded: $0) }
        }
        let (twice, other) = (Self.empty + Self.empty, [UInt8](repeating: 7, count: 5))

        var inOrder = PageSetBuilder()
        Self.add([Self.entry(1, 0, 3), Self.entry(2, 3, 6)], twice, to: &inOrder)
        Self.add([Self.entry(3, 0, 3), Self.entry(4, 3, 6)], twice, to: &inOrder)
        #expect(inOrder.finish() == plain)

        var swapped = PageSetBuilder()
        Self.add([Self.entry(3, 0, 3), Self.entry(4, 3, 6)], twice, to: &swapped)
        Self.add([Self.entry(1, 0, 3), Self.entry(2, 3, 6)], twice, to: &swapped)
        #expect(swapped.finish() == plain)

        var before = PageSetBuilder()
        Self.add([Self.entry(1, 5, 8), Self.entry(2, 8, 11)], other + twice, to: &before)
        Self.add([Self.entry(3, 0, 3), Self.entry(4, 8, 11)], Self.empty + other + Self.empty, to: &before)
        #expect(before.finish() == plain)

        var behind = PageSetBuilder()
        Self.add([Self.entry(1, 0, 3), Self.entry(2, 3, 6)], twice + other, to: &behind)
        Self.add([], other, to: &behind)
        Self.add([Self.entry(3, 0, 3), Self.entry(4, 3, 6)], twice, to: &behind)
        #expect(behind.finish() == plain)
    }
}
