import Digest
import IOMMUModel

/// Per table: how many rows, and the sum of their checksums modulo 2^64, which does not depend on their order.
package struct Manifest: Sendable, Hashable {
    package struct Entry: Sendable, Hashable {
        package var rowCount: UInt64 = 0
        package var checksumSum: UInt64 = 0

        package mutating func add(_ checksum: UInt64) {
            rowCount &+= 1
            checksumSum &+= checksum
        }

        mutating func replace(_ former: UInt64, by checksum: UInt64) {
            checksumSum &-= former
            checksumSum &+= checksum
        }

        mutating func remove(_ checksum: UInt64) {
            rowCount &-= 1
            checksumSum &-= checksum
        }
    }

    /// Indexed as ``RecordTable/manifested``.
    package var entries: [Entry] = Array(repeating: Entry(), count: RecordTable.manifested.count)

    package init() {}

    package subscript(_ table: RecordTable) -> Entry {
        get { entries[Int(table.rawValue) - 1] }
        set { entries[Int(table.rawValue) - 1] = newValue }
    }

    package var rowCount: UInt64 { entries.reduce(0) { $0 &+ $1.rowCount } }

    /// The root digest: XXH64 over the seal's statements and every entry (Schema/FORMAT.md, "Root digest").
    package func root(
        version: UInt32, generation: UInt64, timeNanoseconds: UInt64, nonce: HandoverNonce?
    ) -> RootDigest {
        RootDigest(
            XXH64.hash(
                rootInput(version: version, generation: generation, timeNanoseconds: timeNanoseconds, nonce: nonce)))
    }

    package func rootInput(
        version: UInt32, generation: UInt64, timeNanoseconds: UInt64, nonce: HandoverNonce?
    ) -> [UInt8] {
        Self.rootInput(
            version: version, generation: generation, timeNanoseconds: timeNanoseconds, nonce: nonce,
            entries: zip(RecordTable.manifested, entries).map { (table: $0.rawValue, entry: $1) })
    }

    /// The same of any version: `entries` in the order of their tables' numbers.
    static func rootInput(
        version: UInt32, generation: UInt64, timeNanoseconds: UInt64, nonce: HandoverNonce?,
        entries: [(table: UInt32, entry: Entry)]
    ) -> [UInt8] {
        var bytes = Array("domstore".utf8)
        bytes.append(bigEndian: version)
        bytes.append(bigEndian: UInt32(entries.count))
        bytes.append(bigEndian: generation)
        bytes.append(bigEndian: timeNanoseconds)
        bytes.append(nonce == nil ? 0 : 1)
        bytes.append(contentsOf: nonce?.bytes ?? Array(repeating: 0, count: 16))
        for (table, entry) in entries {
            bytes.append(bigEndian: table)
            bytes.append(bigEndian: entry.rowCount)
            bytes.append(bigEndian: entry.checksumSum)
        }
        return bytes
    }
}

extension [UInt8] {
    /// Appends the bytes of `value`, the most significant one first.
    mutating func append(bigEndian value: some FixedWidthInteger) {
        Swift.withUnsafeBytes(of: value.bigEndian) { append(contentsOf: $0) }
    }
}
