import Foundation

@testable import Store

/// Holds what an accident left against what an operation may leave.
final class Judge {
    enum Verdict: Hashable {
        /// As after the last success that was told.
        case old
        /// As after the next one.
        case new
        case broken(String)
    }

    /// How the verdicts of a suite are spread.
    struct Tally {
        var total = 0
        var old = 0
        var new = 0
        var broken = 0
        /// Different states among them.
        var distinct = 0
        /// The first ones, in words.
        var examples: [String] = []

        mutating func add(_ verdict: Verdict, _ place: @autoclosure () -> String) {
            total += 1
            switch verdict {
            case .old: old += 1
            case .new: new += 1
            case .broken(let what):
                broken += 1
                if examples.count < 5 { examples.append("\(place()): \(what)") }
            }
        }

        mutating func add(_ other: Tally) {
            total += other.total
            old += other.old
            new += other.new
            broken += other.broken
            distinct += other.distinct
            examples += other.examples.prefix(max(0, 5 - examples.count))
        }
    }

    private let views: [StoreView]
    private let scratch: Folder
    /// What each state seen before came to: the index of its view, or what is wrong with it.
    private var known: [UInt64: Result<Set<Int>, CrashProblem>] = [:]
    var distinct: Int { known.count }

    init(_ views: [StoreView]) throws {
        self.views = views
        scratch = try Folder(inMemory: true)
    }

    /// What `state`, found when `successes` had been told, is. With `isEnd` nothing was on its way, so that it must be as
    /// after the last of them: then that is ``Verdict/new``.
    func judge(_ state: DiskState, after successes: Int, isEnd: Bool = false) throws -> Verdict {
        let digest = state.digest
        let places: Result<Set<Int>, CrashProblem>
        if let seen = known[digest] {
            places = seen
        } else {
            places = try look(state, resolving: digest % 8 == 0)
            known[digest] = places
        }
        switch places {
        case .failure(let problem): return .broken(problem.what)
        case .success(let places):
            if places.contains(successes) { return isEnd ? .new : .old }
            if !isEnd, places.contains(successes + 1) { return .new }
            return .broken("it is as after success \(places.sorted()), \(successes) were told")
        }
    }

    /// `resolving`: the store's own choice of a generation is asked as well, which opens every file once more.
    private func look(_ state: DiskState, resolving: Bool) throws -> Result<Set<Int>, CrashProblem> {
        try state.write(to: scratch)
        do {
            let view = try StoreView(scratch)
            guard case let places = views.indices.filter({ views[$0] == view }), !places.isEmpty else {
                return .failure(CrashProblem(what: "neither old nor new"))
            }
            guard try !resolving || view.newest == resolved() else {
                return .failure(CrashProblem(what: "resolved otherwise"))
            }
            // Nothing that the reader did may have touched a file.
            if state.hasHotJournal, try StoreView(afterRecoveryIn: scratch) != view {
                return .failure(CrashProblem(what: "SQLite's recovery comes to something else"))
            }
            return .success(Set(places))
        } catch {
            return .failure(CrashProblem(what: "\(error)"))
        }
    }

    private func resolved() throws -> UInt64? {
        do throws(StoreError) {
            let location = try StoreLocation(scratch.path)
            let path = try location.resolve()
            return try location.numbers().first { location.path(of: $0) == path }
        } catch {
            switch error {
            case .noSealedGeneration, .emptyDirectory: return nil
            default: throw error
            }
        }
    }
}
