import SQLite

@testable import Store

/// The accidents that can happen to a recorded operation, each held against what the operation may leave.
struct CrashSuite {
    let recording: Recording
    let judge: Judge

    /// - Parameter pragmas: of a negative control.
    init(_ operation: Operation, pragmas: [String: String] = [:]) throws {
        recording = try Recording(operation, pragmas: pragmas)
        judge = try Judge(recording.views)
    }

    /// The process dies before each call and in the middle of each write of some sectors.
    ///
    /// Of the points every `prefixStride`-th counts, of the states that SQLite would roll back every `recoveryStride`-th
    /// is rolled back, and dies there too.
    func prefixes(_ sizes: CrashSizes) throws -> (points: Judge.Tally, recovery: Judge.Tally) {
        var points = Judge.Tally()
        var recovery = Judge.Tally()
        var hot = 0
        var place = 0
        func look(_ state: @autoclosure () -> DiskState, _ successes: Int) throws {
            place += 1
            guard place % sizes.prefixStride == 0 else { return }
            let state = state()
            points.add(try judge.judge(state, after: successes), "\(recording.operation), point \(place)")
            guard state.hasHotJournal else { return }
            hot += 1
            if hot % sizes.recoveryStride == 0 { recovery.add(try prefixes(ofRecovery: state, successes)) }
        }
        try recording.walk { medium, next, successes in
            switch next {
            case .sync, .failedSync, .syncDirectory, .begin: return
            case .write(let inode, let offset, let bytes) where bytes.count >= 2 * Medium.sectorBytes:
                try look(medium.whole, successes)
                for sector in Self.cuts(of: bytes.count / Medium.sectorBytes, place, sizes) {
                    let count = sector * Medium.sectorBytes
                    try look(medium.whole(withFirst: count, of: bytes, at: offset, inode: inode), successes)
                }
            default: try look(medium.whole, successes)
            }
        }
        points.distinct = judge.distinct
        return (points, recovery)
    }

    /// Behind which of so many sectors a write is cut off: in each part of it early and late, elsewhere in each write.
    private static func cuts(of sectors: Int, _ place: Int, _ sizes: CrashSizes) -> [Int] {
        if sizes.everySector, sectors <= 256 { return Array(1..<sectors) }
        let part = max(8, sectors / 16)
        return stride(from: 0, to: sectors - 1, by: part).flatMap { start -> [Int] in
            let length = min(part, sectors - start)
            let shift = length >= 2 ? place % (length / 2) : 0
            return Set([start + 1 + shift, start + length - 1 - shift]).filter { $0 > 0 }.sorted()
        }
    }

    /// SQLite rolls `state` back in place, and dies before each of its calls, and in the middle of each write of some sectors.
    private func prefixes(ofRecovery state: DiskState, _ successes: Int) throws -> Judge.Tally {
        let folder = try Folder(inMemory: true)
        try state.write(to: folder)
        let recorder = CallRecorder(folder)
        recorder.adopt(state)
        recorder.begin()
        try recorder.record {
            for name in folder.names where name.hasSuffix(StoreLocation.fileEnding) {
                let connection = try Connection(path: folder[name], flags: [.readWrite])
                _ = try connection.integer("SELECT count(*) FROM sqlite_schema")
            }
        }
        var tally = Judge.Tally()
        var medium = Medium()
        var hasBegun = false
        for call in recorder.calls {
            if hasBegun {
                let place = tally.total
                tally.add(
                    try judge.judge(medium.whole, after: successes), "\(recording.operation), recovery point \(place)")
                if case .write(let inode, let offset, let bytes) = call, bytes.count >= 2 * Medium.sectorBytes {
                    let sectors = 1 + place % (bytes.count / Medium.sectorBytes - 1)
                    let state = medium.whole(
                        withFirst: sectors * Medium.sectorBytes, of: bytes, at: offset, inode: inode)
                    tally.add(
                        try judge.judge(state, after: successes),
                        "\(recording.operation), in the write of recovery point \(place)")
                }
            }
            medium.apply(call)
            if case .begin = call { hasBegun = true }
        }
        tally.add(try judge.judge(medium.whole, after: successes), "\(recording.operation), recovered")
        return tally
    }

    /// The power fails at random moments: sectors that were not synced are torn, dropped and reordered.
    ///
    /// - Parameter recoveryPoints: states with a hot journal are rolled back, and die at each call of that, until about so
    ///   many points were tried.
    func torn(
        _ samples: Int, seed: UInt64, recoveryPoints: Int = 0
    ) throws -> (samples: Judge.Tally, recovery: Judge.Tally) {
        var random = SplitMix64(seed: seed)
        var tally = Judge.Tally()
        var recovery = Judge.Tally()
        // Just before a sync the most is at stake.
        func weight(_ call: DiskCall) -> Int {
            switch call {
            case .sync, .syncDirectory, .success: 16
            default: 1
            }
        }
        var whole = 0
        recording.walk { _, next, _ in whole += weight(next) }
        var passed = 0
        try recording.walk { medium, next, successes in
            passed += weight(next)
            while tally.total < samples * passed / whole {
                let cut = Medium.Cut(
                    data: Medium.Cut.shares.randomElement(using: &random)!,
                    names: Medium.Cut.shares.randomElement(using: &random)!)
                let state = medium.cut(cut, using: &random)
                let place = tally.total
                let known = judge.distinct
                tally.add(
                    try judge.judge(state, after: successes),
                    "\(recording.operation), sample \(place) before \(next.name) after \(successes) successes")
                if recovery.total < recoveryPoints, judge.distinct > known, state.hasHotJournal {
                    recovery.add(try prefixes(ofRecovery: state, successes))
                }
            }
        }
        tally.distinct = judge.distinct
        return (tally, recovery)
    }

    /// The power fails right after a step has told its success: none of it may be lost.
    func powerCuts(_ samples: Int, seed: UInt64) throws -> Judge.Tally {
        var random = SplitMix64(seed: seed)
        var tally = Judge.Tally()
        let steps = recording.views.count - 1
        try recording.walk { medium, next, successes in
            guard case .success = next else { return }
            let until = samples * (successes + 1) / steps
            var sample = 0
            while tally.total < until {
                let cut: Medium.Cut =
                    switch sample {
                    case 0: .nothing
                    case 1: .everything
                    case 2: Medium.Cut(data: 1, names: 0)
                    case 3: Medium.Cut(data: 0, names: 1)
                    default:
                        Medium.Cut(
                            data: Medium.Cut.shares.randomElement(using: &random)!,
                            names: Medium.Cut.shares.randomElement(using: &random)!)
                    }
                sample += 1
                let state = medium.cut(cut, using: &random)
                tally.add(
                    try judge.judge(state, after: successes + 1, isEnd: true),
                    "\(recording.operation), success \(successes + 1)")
            }
        }
        tally.distinct = judge.distinct
        return tally
    }
}
