/// Builds small ELF cores, right ones and wrong ones.
struct ELFBuilder {
    struct Load {
        var address: UInt64
        var bytes: [UInt8]
        /// `nil`: as many as there are bytes.
        var memoryBytes: UInt64?
        var fileOffset: UInt64?
        var fileBytes: UInt64?
    }

    var fileClass: UInt8 = 2
    var byteOrder: UInt8 = 1
    var version: UInt8 = 1
    var type: UInt16 = 4
    var entryBytes: UInt16 = 56
    var count: UInt16?
    var tableOffset: UInt64 = 64
    var sectionOffset: UInt64 = 0
    /// Between program headers and the first segment's bytes; misaligned when it is no multiple of 8.
    var padding = 0
    var loads: [Load]

    init(_ loads: [Load]) { self.loads = loads }

    func build() -> [UInt8] {
        var bytes: [UInt8] = [0x7f, 0x45, 0x4c, 0x46, fileClass, byteOrder, version]
        bytes += [UInt8](repeating: 0, count: 9)
        func append(_ value: some FixedWidthInteger) {
            withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
        }
        append(type)
        append(UInt16(62))
        append(UInt32(1))
        append(UInt64(0))
        append(tableOffset)
        append(sectionOffset)
        append(UInt32(0))
        append(UInt16(64))
        append(entryBytes)
        append(count ?? UInt16(loads.count))
        append(UInt16(0))
        append(UInt16(0))
        append(UInt16(0))
        var offset = UInt64(64 + 56 * loads.count + padding)
        for load in loads {
            append(UInt32(1))
            append(UInt32(7))
            append(load.fileOffset ?? offset)
            append(UInt64(0))
            append(load.address)
            append(load.fileBytes ?? UInt64(load.bytes.count))
            append(load.memoryBytes ?? UInt64(load.bytes.count))
            append(UInt64(0))
            offset += UInt64(load.bytes.count)
        }
        bytes += [UInt8](repeating: 0, count: padding)
        for load in loads { bytes += load.bytes }
        return bytes
    }
}
