import Glibc
import IOMMUModel

/// The devices of a machine by requester id: an access must not wait for hashing.
///
/// One array of all requester ids per segment, of which the host gives only the pages that hold a device.
final class DeviceTable {
    /// One requester id.
    private struct Place {
        /// The caches of the unit that its accesses go through; `nil`: it puts none on the bus.
        var caches: UnsafeMutablePointer<UnitCaches>?
        /// One more than the device's index; 0: there is no device.
        var number: Int
    }

    private struct Segment {
        let number: UInt32
        let places: UnsafeMutablePointer<Place>
    }

    /// Nearly always the only one.
    private let first: Segment
    private let later: [Segment]

    /// `devices` sorted by requester id; none puts anything on the bus yet.
    init(_ devices: [MachineDevice]) throws(MachineError) {
        for index in devices.indices.dropFirst() where devices[index].requester == devices[index - 1].requester {
            throw .duplicateDevice(devices[index].requester)
        }
        let numbers = Set(devices.map(\.requester.segment)).sorted()
        let segments = (numbers.isEmpty ? [0] : numbers).map { number in
            guard let memory = calloc(1 << 16, MemoryLayout<Place>.stride) else {
                preconditionFailure("out of host memory")
            }
            return Segment(number: number, places: memory.assumingMemoryBound(to: Place.self))
        }
        first = segments[0]
        later = Array(segments.dropFirst())
        for (index, device) in devices.enumerated() { place(device.requester)?.pointee.number = index + 1 }
    }

    deinit {
        for segment in [first] + later { free(segment.places) }
    }

    private func place(_ requester: RequesterID) -> UnsafeMutablePointer<Place>? {
        let segment = requester.segment == first.number ? first : later.first { $0.number == requester.segment }
        return segment.map { $0.places + Int(requester.rid) }
    }

    /// The device's index, or `nil`.
    func index(of requester: RequesterID) -> Int? {
        guard let number = place(requester)?.pointee.number, number > 0 else { return nil }
        return number - 1
    }

    /// The caches that the accesses of `requester` go through; `nil` when there are none. O(segments).
    func caches(of requester: RequesterID) -> UnsafeMutablePointer<UnitCaches>? {
        place(requester)?.pointee.caches
    }

    /// As ``caches(of:)``, but `nil` also for a requester that is not on the first segment: no call.
    @inline(__always)
    func firstSegmentCaches(of requester: RequesterID) -> UnsafeMutablePointer<UnitCaches>? {
        requester.segment == first.number ? first.places[Int(requester.rid)].caches : nil
    }

    /// Says what the accesses of `requester`, a device, go through from now on.
    func set(_ requester: RequesterID, caches: UnsafeMutablePointer<UnitCaches>?) {
        place(requester)?.pointee.caches = caches
    }
}
