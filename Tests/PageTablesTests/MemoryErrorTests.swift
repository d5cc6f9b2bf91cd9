import Glibc
import IOMMUModel
import Testing

@testable import PageTables

/// Mappings that the host refuses, and frames' states that nobody recorded.
@Suite struct MemoryErrorTests {
    private func error(_ body: () throws -> Void) -> (any Error)? {
        do {
            try body()
            return nil
        } catch { return error }
    }

    @Test func `a mapping is not empty, is inside its file, and its file is open`() {
        let empty = error { _ = try MappedRegion.anonymous(bytes: 0) } as? MemoryError
        #expect(empty == .outsideFile(offset: 0, byteCount: 0, fileBytes: 0))
        let closed = error { _ = try MappedRegion.privateFile(-1, bytes: 4096) } as? MemoryError
        #expect(closed == .system(call: "fstat", errno: EBADF))
    }

    @Test func `a state of another version is refused at its first value`() throws {
        let memory = PhysicalMemory()
        let found = error { _ = try TableArena(state: [.max], memory: memory.view) } as? ArenaError
        #expect(found == .malformedState(index: 0))
    }
}
