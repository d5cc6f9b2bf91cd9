import IOMMUModel

/// What an IVHD block says of a range of requester ids: one device entry of the table, or two for a range (AMD 48882
/// 5.2.2.2).
public struct IVRSDeviceEntry: Sendable, Hashable {
    /// The requester ids that the entry speaks of, both ends included.
    public var requesters: ClosedRange<UInt16>
    /// The requester id under which their requests reach the unit, and whose device table entry counts; `nil`: their own.
    public var alias: UInt16?
    /// What the entry is about beside the requester ids.
    public var kind: Kind
    /// DTE settings that the firmware asks for (LINT1, LINT0, SysMgt, NMI, EInt, INIT passes).
    public var flags: UInt8

    /// The kinds of entries that name requesters.
    public enum Kind: Sendable, Hashable {
        /// Every requester of the segment that no other entry names (type 01h).
        case all
        /// One PCI function or a range (types 02h to 04h, 42h, 43h, 46h, 47h).
        case requesters
        /// An I/O APIC (1) or HPET (2) with its handle, by the requester id of its interrupts (type 48h).
        case special(variety: UInt8, handle: UInt8)
        /// A device of the ACPI name space with its eight-character hardware id (type F0h).
        case acpiDevice(hardwareID: String)
    }

    /// All entries up to the end of the block.
    static func list(_ body: inout ByteReader<IVRSError>) throws(IVRSError) -> [IVRSDeviceEntry] {
        var entries: [IVRSDeviceEntry] = []
        var open: Start?
        while !body.isAtEnd {
            let start = body.offset
            let type = try body.uint8()
            let id = try body.uint16()
            let flags = try body.uint8()
            if let open, type != 0x04, type != 0x00 {
                throw .value(
                    offset: start, found: UInt64(type), expected: "the end of the range of byte \(open.offset)")
            }
            switch type {
            case 0x01: entries.append(.init(requesters: 0...0xffff, alias: nil, kind: .all, flags: flags))
            case 0x02: entries.append(.init(requesters: id...id, alias: nil, kind: .requesters, flags: flags))
            case 0x03: open = Start(offset: start, first: id, alias: nil, flags: flags)
            case 0x04:
                guard let range = open, range.first <= id else {
                    throw .value(
                        offset: start, found: UInt64(id),
                        expected: open.map { "an end not below \(hex(UInt64($0.first), digits: 1))" }
                            ?? "a range begun before its end")
                }
                entries.append(
                    .init(requesters: range.first...id, alias: range.alias, kind: .requesters, flags: range.flags))
                open = nil
            case 0x42, 0x43, 0x46, 0x47:
                let more = try body.uint32()
                // 42h and 43h: a reserved byte, the source id, a reserved byte. 46h and 47h: more settings.
                let alias = type < 0x46 ? UInt16(truncatingIfNeeded: more >> 8) : nil
                if type & 1 == 0 {
                    entries.append(.init(requesters: id...id, alias: alias, kind: .requesters, flags: flags))
                } else {
                    open = Start(offset: start, first: id, alias: alias, flags: flags)
                }
            case 0x48:
                let handle = try body.uint8()
                let source = try body.uint16()
                let variety = try body.uint8()
                entries.append(
                    .init(
                        requesters: source...source, alias: nil, kind: .special(variety: variety, handle: handle),
                        flags: flags))
            case 0xf0: entries.append(try acpiDevice(id, flags: flags, &body))
            case 0x00, 0x05..<0x40: break
            case 0x40...0x7f: _ = try body.uint32()
            default:
                throw .value(offset: start, found: UInt64(type), expected: "a device entry whose length is known")
            }
        }
        if let open {
            throw .value(offset: open.offset, found: UInt64(open.first), expected: "a range that ends")
        }
        return entries
    }

    /// A range whose end has not been read.
    private struct Start {
        var offset: Int
        var first: UInt16
        var alias: UInt16?
        var flags: UInt8
    }

    /// The rest of an entry of type F0h: hardware id, compatible id, and a unique id of a length of its own.
    private static func acpiDevice(
        _ id: UInt16, flags: UInt8, _ body: inout ByteReader<IVRSError>
    ) throws(IVRSError) -> IVRSDeviceEntry {
        var hardwareID = ""
        for _ in 0..<8 {
            let byte = try body.uint8()
            if (0x21...0x7e).contains(byte) { hardwareID.unicodeScalars.append(Unicode.Scalar(byte)) }
        }
        _ = try body.uint64()
        _ = try body.uint8()
        let length = Int(try body.uint8())
        guard length <= body.end - body.offset else {
            throw .length(
                offset: body.offset - 1, found: UInt64(length), expected: "0 to \(body.end - body.offset)")
        }
        body.skip(to: body.offset + length)
        return IVRSDeviceEntry(
            requesters: id...id, alias: nil, kind: .acpiDevice(hardwareID: hardwareID), flags: flags)
    }
}
