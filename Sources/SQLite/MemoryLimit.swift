import CSQLite
import Synchronization

/// SQLite's one limit on memory, shared by all who ask for one at a time.
enum MemoryLimit {
    private struct State {
        var users = 0
        /// What stood there before the first of them.
        var before: Int64 = 0
        var limit: Int64 = 0
    }

    private static let state = Mutex(State())

    static func enter(_ bytes: Int64) {
        state.withLock { state in
            if state.users == 0 { (state.before, state.limit) = (sqlite3_hard_heap_limit64(-1), 0) }
            state.users += 1
            state.limit = max(state.limit, sqlite3_memory_used() + bytes)
            _ = sqlite3_hard_heap_limit64(state.limit)
        }
    }

    static func leave() {
        state.withLock { state in
            state.users -= 1
            if state.users == 0 { _ = sqlite3_hard_heap_limit64(state.before) }
        }
    }
}
