import Engine
import IOMMUModel
import Measurement
import PageTableBenchmarks
import PageTables

extension Benchmark {
    /// Reads of devices that the caches of their unit answer, beside the walk that they save: random translations over a
    /// million pages of the same format.
    public static func cacheHit() throws -> Benchmark {
        let ground = try DMAGround()
        let pages = TableGround.translatedPages
        let (repetitions, slice) = (10, pages / 10)
        let requests = ground.randomRequests(requestCount)
        let iovas = RandomAddresses(count: pages, pages: UInt64(pages))
        let cursor = SliceCursor(count: repetitions)
        return Benchmark(
            name: "iotlb-hit", summary: "a device's read that hits context cache and IOTLB, beside translate-vtd",
            goal: 0.25, repetitions: repetitions,
            subject: Side(
                label: "hit", operations: slice,
                prepare: { ground.warm() },
                run: { count in
                    let before = ground.machine.units[0].counters.cacheHits
                    let answered = accessEach(ground.machine, requests, count: count)
                    precondition(ground.machine.units[0].counters.cacheHits - before == count, "an access missed")
                    return answered
                },
                digest: {
                    ground.digest { request in
                        ground.machine.dma(request.requester, iova: request.iova, access: .read)
                    }
                }),
            reference: Side(
                label: "walk", operations: slice,
                prepare: { cursor.advance() },
                run: { count in
                    let sum = ground.tables.subjectTranslate(iovas.pointer + cursor.position * slice, count: count)
                    return sum == 0 ? 0 : UInt64(count)
                },
                digest: { ground.digest { .address(ground.tables.address(of: $0.iova)) } }))
    }
}

extension DMAGround {
    /// Mixes the answers to all of the working set.
    fileprivate func digest(_ answer: (Request) -> DMAOutcome) -> UInt64 {
        var digest = Digest()
        for request in workingSet {
            if case .address(let address) = answer(request) { digest.mix(address.rawValue) } else { digest.mix(.max) }
        }
        return digest.value
    }
}

/// The requests that are made over and over: a power of two, and few enough that fetching them is none of the cost. A
/// device's do not come out of memory.
private let requestCount = 1 << 13

/// `count` reads; how many reached memory. Adds up the addresses, as the other side does.
@inline(never)
private func accessEach(_ machine: Machine, _ requests: UnsafePointer<DMAGround.Request>, count: Int) -> UInt64 {
    var (refused, sum): (UInt64, UInt64) = (0, 0)
    for index in 0..<count {
        let request = requests[index & (requestCount - 1)]
        if case .address(let address) = machine.dma(request.requester, iova: request.iova, access: .read) {
            sum &+= address.rawValue
        } else {
            refused &+= 1
        }
    }
    return sum == 0 ? 0 : UInt64(count) - refused
}
