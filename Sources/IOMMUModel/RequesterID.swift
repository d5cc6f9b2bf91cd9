/// A requester id on a PCI segment: what an IOMMU indexes its device structures by, and what this project calls a device.
///
/// The segment has 32 bits: VMD and Hyper-V number their segments from 0x10000 on (live-update.md 2.3).
@frozen
public struct RequesterID: Hashable, Comparable, Sendable {
    /// The PCI segment (domain in Linux).
    public let segment: UInt32
    /// Bus 15:8, device 7:3, function 2:0.
    public let rid: UInt16

    /// Any 32 and 16 bits.
    @inlinable public init(segment: UInt32, rid: UInt16) {
        self.segment = segment
        self.rid = rid
    }

    /// `nil` when the device number is over 31 or the function number over 7.
    @inlinable public init?(segment: UInt32 = 0, bus: UInt8, device: UInt8, function: UInt8) {
        guard device < 32, function < 8 else { return nil }
        self.init(segment: segment, rid: UInt16(bus) << 8 | UInt16(device) << 3 | UInt16(function))
    }

    /// 0 to 255.
    @inlinable public var bus: UInt8 { UInt8(truncatingIfNeeded: rid >> 8) }
    /// 0 to 31.
    @inlinable public var device: UInt8 { UInt8(truncatingIfNeeded: rid >> 3) & 31 }
    /// 0 to 7.
    @inlinable public var function: UInt8 { UInt8(truncatingIfNeeded: rid) & 7 }
    /// Device and function, the index of a VT-d context table.
    @inlinable public var devfn: UInt8 { UInt8(truncatingIfNeeded: rid) }

    /// By segment, then by ``rid``: the order of every listing.
    @inlinable public static func < (a: Self, b: Self) -> Bool {
        a.segment != b.segment ? a.segment < b.segment : a.rid < b.rid
    }
}

extension RequesterID: CustomStringConvertible {
    /// `SSSS:BB:DD.F`, the segment with at least four hex digits.
    public var description: String {
        func padded(_ value: some BinaryInteger, _ digits: Int) -> String {
            let text = String(value, radix: 16)
            return String(repeating: "0", count: max(0, digits - text.count)) + text
        }
        return "\(padded(segment, 4)):\(padded(bus, 2)):\(padded(device, 2)).\(function)"
    }

    /// Reads `SSSS:BB:DD.F` or, on segment 0, `BB:DD.F`; all parts hexadecimal.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2 || parts.count == 3 else { return nil }
        let tail = parts[parts.count - 1].split(separator: ".", omittingEmptySubsequences: false)
        // The standard library's integers read a sign too.
        guard tail.count == 2, !text.utf8.contains(where: { $0 == UInt8(ascii: "+") || $0 == UInt8(ascii: "-") }),
            let segment = parts.count == 3 ? UInt32(parts[0], radix: 16) : 0,
            let bus = UInt8(parts[parts.count - 2], radix: 16),
            let device = UInt8(tail[0], radix: 16), let function = UInt8(tail[1], radix: 16)
        else { return nil }
        self.init(segment: segment, bus: bus, device: device, function: function)
    }
}
