/// A device and a PASID: what a domain is attached to.
public struct AttachmentKey: Sendable, SmallKey, Comparable, CustomStringConvertible {
    /// The device.
    public var requester: RequesterID
    /// `nil`: requests without a PASID.
    public var pasid: PASID?

    /// Both as given; the device need not exist.
    @inlinable public init(_ requester: RequesterID, _ pasid: PASID? = nil) {
        self.requester = requester
        self.pasid = pasid
    }

    /// Device and PASID.
    @inlinable public var hashWord: UInt64 { requester.hashWord ^ pasid.hashPart &<< 43 }

    /// `SSSS:BB:DD.F`, or `SSSS:BB:DD.F#PASID`.
    public var description: String { pasid.map { "\(requester)#\($0)" } ?? "\(requester)" }

    /// By requester id, then PASID, untagged first.
    public static func < (a: Self, b: Self) -> Bool {
        a.requester != b.requester ? a.requester < b.requester : PASID?.precedes(a.pasid, b.pasid)
    }
}
