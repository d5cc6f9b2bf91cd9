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

    private let segments: UnsafeMutablePointer<Segment>
    private let segmentCount: Int

    /// `devices` sorted by requester id; none puts anything on the bus yet.
    init(_ devices: [MachineDevice]) throws(MachineError) {
        for index in devices.indices.dropFirst() where devices[index].requester == devices[index - 1].requester {
            throw .duplicateDevice(devices[index].requester)
        }
        let numbers = Set(devices.map(\.requester.segment)).sorted()
        segmentCount = numbers.count
        segments = .allocate(capacity: max(numbers.count, 1))
        for (index, number) in numbers.enumerated() {
            guard let memory = calloc(1 << 16, MemoryLayout<Place>.stride) else {
                preconditionFailure("out of host memory")
            }
            (segments + index).initialize(
                to: Segment(number: number, places: memory.assumingMemoryBound(to: Place.self)))
        }
        for (index, device) in devices.enumerated() { place(device.requester)?.pointee.number = index + 1 }
    }

    deinit {
        for index in 0..<segmentCount { free(segments[index].places) }
        segments.deallocate()
    }

    /// O(segments).
    @inline(__always)
    private func place(_ requester: RequesterID) -> UnsafeMutablePointer<Place>? {
        var index = 0
        while index < segmentCount {
            if segments[index].number == requester.segment { return segments[index].places + Int(requester.rid) }
            index &+= 1
        }
        return nil
    }

    /// The device's index, or `nil`.
    func index(of requester: RequesterID) -> Int? {
        guard let number = place(requester)?.pointee.number, number > 0 else { return nil }
        return number - 1
    }

    /// The caches that the accesses of `requester` go through; `nil` when there are none.
    @inline(__always)
    func caches(of requester: RequesterID) -> UnsafeMutablePointer<UnitCaches>? {
        place(requester)?.pointee.caches
    }

    /// Says what the accesses of `requester`, a device, go through from now on.
    func set(_ requester: RequesterID, caches: UnsafeMutablePointer<UnitCaches>?) {
        place(requester)?.pointee.caches = caches
    }
}
