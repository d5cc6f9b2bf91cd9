import IOMMUModel

/// The devices of a machine by requester id: an access must not wait for hashing.
@usableFromInline
struct DeviceTable: ~Copyable {
    /// The segment of ``firstPlaces``: nearly always the only one.
    @usableFromInline let firstSegment: UInt32
    /// Those of `segments[0]`, which keeps them.
    @usableFromInline let firstPlaces: UnsafeMutablePointer<RequesterPlaces.Place>
    /// At least one; sorted by number.
    private let segments: [RequesterPlaces]

    /// `devices` sorted by requester id; none puts anything on the bus yet.
    init(_ devices: [MachineDevice]) throws(MachineError) {
        for index in devices.indices.dropFirst() where devices[index].requester == devices[index - 1].requester {
            throw .duplicateDevice(devices[index].requester)
        }
        let numbers = Set(devices.map(\.requester.segment)).sorted()
        segments = (numbers.isEmpty ? [0] : numbers).map { RequesterPlaces(segment: $0) }
        firstSegment = segments[0].segment
        firstPlaces = segments[0].base
        for (index, device) in devices.enumerated() {
            places(ofSegment: device.requester.segment)?[device.requester.rid].number = index + 1
        }
    }

    /// The places of a segment; `nil` when it has no device. O(segments).
    func places(ofSegment segment: UInt32) -> RequesterPlaces? { segments.first { $0.segment == segment } }

    /// The device's index, or `nil`.
    func index(of requester: RequesterID) -> Int? {
        guard let number = place(of: requester)?.number, number > 0 else { return nil }
        return number - 1
    }

    /// What is known of `requester`; `nil` when its segment has no device. O(segments).
    func place(of requester: RequesterID) -> RequesterPlaces.Place? {
        if let place = firstSegmentPlace(of: requester) { return place.pointee }
        return places(ofSegment: requester.segment)?[requester.rid]
    }

    /// As ``place(of:)``, but `nil` also for a requester that is not on the first segment: no call.
    @inlinable
    func firstSegmentPlace(of requester: RequesterID) -> UnsafeMutablePointer<RequesterPlaces.Place>? {
        requester.segment == firstSegment ? firstPlaces + Int(requester.rid) : nil
    }

    /// Says what the accesses of `requester`, a device, go through from now on.
    func set(_ requester: RequesterID, caches: UnsafeMutablePointer<UnitCaches>?) {
        places(ofSegment: requester.segment)?[requester.rid].caches = caches
    }
}
