import Engine
import IOMMUModel
import PageTableBenchmarks
import PageTables

/// A machine of one VT-d unit with four devices, each in a domain of its own over the same tables, and as many accesses as
/// its IOTLB holds at once.
final class DMAGround {
    static let deviceCount = 4
    /// Of each device: together half of the IOTLB, so placed that no two share a place.
    static let pagesPerDevice: UInt64 = 512

    /// One access.
    struct Request {
        let requester: RequesterID
        let iova: IOVA
    }

    let tables: TableGround
    let machine: Machine
    private static let lookupBase: UInt64 = 0x1000_0000

    init() throws {
        tables = try .mapped(.vtd)
        var memory = tables.memory
        // The root table, a context table, a frame for an arena, the handover page.
        let region = try MappedRegion.anonymous(bytes: 4 * 4096)
        try memory.add(at: PhysicalAddress(Self.lookupBase), byteCount: UInt64(region.byteCount), region: region)
        let words = region.base.assumingMemoryBound(to: UInt64.self)
        words[0] = (Self.lookupBase + 4096) | 1
        for number in 0..<Self.deviceCount {
            let entry = words + 512 + number * 16
            entry[0] = tables.referenceRoot | 1
            // Domain ids from 1 on, 48 bits.
            entry[1] = UInt64(number + 1) << 8 | 2
        }
        func page(_ number: UInt64) -> PhysicalAddress { PhysicalAddress(Self.lookupBase + number << 12) }
        let unit = UnitID(1)
        machine = try Machine(
            memory: memory, ramRanges: [PhysicalRange(first: page(0), bytes: 4 * 4096)!],
            arenaRanges: [PhysicalRange(first: page(2), bytes: 4096)!], handoverPage: page(3),
            units: [
                UnitDescription(
                    id: unit, registerBase: PhysicalAddress(0xfed9_0000), hostAddressWidth: 46,
                    registers: [
                        .init("cap", 0x0d20_08c4_0660_0462), .init("ecap", 0xf0_20da), .init("gsts", 0xc000_0000),
                        .init("rtaddr", Self.lookupBase),
                    ])
            ],
            devices: (0..<Self.deviceCount).map {
                MachineDevice(requester: Self.requester($0), unit: unit, group: GroupID(UInt32($0)))
            })
    }

    private static func requester(_ number: Int) -> RequesterID {
        RequesterID(segment: 0, rid: UInt16(number) << 3)
    }

    /// Every page that the IOTLB is to hold, each once.
    var workingSet: [Request] {
        (0..<Self.deviceCount).flatMap { number in
            (0..<Self.pagesPerDevice).map { Request(requester: Self.requester(number), iova: IOVA(page: $0)) }
        }
    }

    /// `count` accesses to the working set in an order that no cache foresees, in memory that is never freed.
    func randomRequests(_ count: Int) -> UnsafePointer<Request> {
        let all = workingSet
        let addresses = RandomAddresses(count: count, pages: UInt64(all.count))
        let requests = UnsafeMutablePointer<Request>.allocate(capacity: count)
        for index in 0..<count {
            let request = all[Int(addresses.pointer[index] >> 12)]
            let iova = IOVA(request.iova.rawValue | addresses.pointer[index] & 0xfff)
            (requests + index).initialize(to: Request(requester: request.requester, iova: iova))
        }
        return UnsafePointer(requests)
    }

    /// One read of everything in the working set, so that it is cached.
    func warm() {
        for request in workingSet { _ = machine.dma(request.requester, iova: request.iova, access: .read) }
    }
}
