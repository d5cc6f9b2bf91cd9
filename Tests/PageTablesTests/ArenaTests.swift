import IOMMUModel
import PageTables
import Testing

struct ArenaTests {
    /// Three ranges with a hole, two frames elsewhere.
    static func machine() throws -> (TestMemory, [PhysicalRange]) {
        let machine = try TestMemory(pages: 64)
        func range(_ first: Int, _ count: Int) -> PhysicalRange {
            PhysicalRange(first: machine.page(first), bytes: UInt64(count) << 12)!
        }
        return (machine, [range(20, 4), range(4, 10), range(30, 3)])
    }

    @Test func `Frames come range by range, zeroed, and a freed one first`() throws {
        let (machine, ranges) = try Self.machine()
        machine.set(machine.page(20), 7, 1)
        var arena = try TableArena(ranges: ranges, memory: machine.view)
        #expect(arena.availableCount == 17)
        var frames: [PhysicalAddress] = []
        while let frame = arena.allocate(memory: machine.view) { frames.append(frame) }
        #expect(frames == ([20, 21, 22, 23] + Array(4..<14) + [30, 31, 32]).map(machine.page))
        #expect(machine.get(machine.page(20), 7) == 0)
        #expect(arena.allocatedCount == 17 && arena.availableCount == 0)
        #expect(arena.allocatedFrames == frames.sorted())
        machine.set(machine.page(5), 0, 9)
        let given = [arena.free(machine.page(21)), arena.free(machine.page(5)), arena.free(machine.page(31))]
        #expect(given == [true, true, true])
        #expect(machine.get(machine.page(5), 0) == 9)
        let next = (0..<4).map { _ in arena.allocate(memory: machine.view) }
        #expect(next == [machine.page(31), machine.page(5), machine.page(21), nil])
        #expect(machine.get(machine.page(5), 0) == 0)
    }

    @Test func `Only a frame in use can be freed`() throws {
        let (machine, ranges) = try Self.machine()
        var arena = try TableArena(ranges: ranges, memory: machine.view)
        let first = arena.allocate(memory: machine.view)!
        let answers = [
            arena.free(machine.page(21)), arena.free(machine.page(0)), arena.free(first.offset(by: 8)!),
            arena.free(first), arena.free(first),
        ]
        #expect(answers == [false, false, false, true, false])
        #expect(arena.allocatedCount == 0)
    }

    @Test func `An adopted frame is in use, keeps its words and can be freed`() throws {
        let (machine, ranges) = try Self.machine()
        var arena = try TableArena(ranges: ranges, memory: machine.view)
        machine.set(machine.page(21), 1, 0x1003)
        let adopted = [
            arena.adopt(machine.page(21)), arena.adopt(machine.page(50)), arena.adopt(machine.page(2)),
            arena.adopt(machine.page(50)),
        ]
        #expect(adopted == [true, true, true, false])
        #expect(arena.dirtyFrames == [])
        #expect(machine.get(machine.page(21), 1) == 0x1003)
        #expect(arena.allocatedCount == 3)
        #expect(arena.availableCount == 16)
        let fresh = (0..<2).map { _ in arena.allocate(memory: machine.view) }
        #expect(fresh == [machine.page(20), machine.page(22)])
        let freed = arena.free(machine.page(50))
        #expect(freed)
        let again = arena.allocate(memory: machine.view)
        #expect(again == machine.page(50))
        // Freed, then adopted again: the free list must not hand it out.
        let ends = [arena.free(machine.page(50)), arena.adopt(machine.page(50))]
        #expect(ends == [true, true])
        let next = arena.allocate(memory: machine.view)
        #expect(next == machine.page(23))
    }

    @Test func `Ranges that overlap, are not frames or not in memory are refused`() throws {
        let machine = try TestMemory(pages: 8)
        func failure(_ ranges: [PhysicalRange]) -> ArenaError? {
            do throws(ArenaError) {
                _ = try TableArena(ranges: ranges, memory: machine.view)
                return nil
            } catch { return error }
        }
        let all = PhysicalRange(first: machine.base, bytes: 8 << 12)!
        let part = PhysicalRange(first: machine.page(3), bytes: 1 << 12)!
        #expect(failure([all, part]) == .overlap(part, with: all))
        let odd = PhysicalRange(first: machine.base, bytes: 5000)!
        #expect(failure([odd]) == .misaligned(odd))
        let beyond = PhysicalRange(first: machine.page(4), bytes: 8 << 12)!
        #expect(failure([beyond]) == .notInMemory(machine.page(8)))
        #expect(failure([.all]) == .tooManyFrames)
        #expect(failure([]) == nil)
    }

    @Test(arguments: 1...8 as ClosedRange<UInt64>)
    func `An arena rebuilt from its state goes on as the one it was`(seed: UInt64) throws {
        let (machine, ranges) = try Self.machine()
        var random = SplitMix(seed: seed)
        var arena = try TableArena(ranges: ranges, memory: machine.view)
        func change(_ arena: inout TableArena, _ random: inout SplitMix) -> String {
            let page = machine.page(Int.random(in: 0..<64, using: &random))
            switch Int.random(in: 0..<4, using: &random) {
            case 0: return "\(arena.adopt(page))"
            case 1: return "\(arena.free(page))"
            case 2:
                let used = arena.allocatedFrames
                return used.isEmpty ? "" : "\(arena.free(used.randomElement(using: &random)!))"
            default: return arena.allocate(memory: machine.view).map { "\($0)" } ?? "-"
            }
        }
        for _ in 0..<200 { _ = change(&arena, &random) }
        let state = arena.state
        var twin = try TableArena(state: state, memory: machine.view)
        #expect(twin.state == state)
        #expect(twin.allocatedFrames == arena.allocatedFrames)
        #expect(twin.dirtyFrames == [])
        var other = random
        for _ in 0..<200 {
            let one = change(&arena, &random)
            let two = change(&twin, &other)
            #expect(one == two)
        }
        #expect(twin.state == arena.state)
    }

    @Test func `A state that no arena wrote is refused, never trusted`() throws {
        let (machine, ranges) = try Self.machine()
        var arena = try TableArena(ranges: ranges, memory: machine.view)
        for _ in 0..<6 { _ = arena.allocate(memory: machine.view) }
        arena.adopt(machine.page(50))
        arena.free(machine.page(21))
        let state = arena.state
        func isRefused(_ state: [UInt64]) -> Bool {
            do throws(ArenaError) {
                let arena = try TableArena(state: state, memory: machine.view)
                return arena.state != state
            } catch { return true }
        }
        #expect(!isRefused(state))
        for length in 0..<state.count { #expect(isRefused(Array(state[..<length])), "cut to \(length)") }
        #expect(isRefused(state + [0]))
        for index in state.indices {
            for value in [.max, 1 << 63, 1 << 40, UInt64(Int32.max)] as [UInt64] {
                var changed = state
                changed[index] = value
                #expect(isRefused(changed), "value \(index) as \(hex(value))")
            }
        }
    }

    @Test func `Frames that follow each other are found again once the fresh ones are used up`() throws {
        let (machine, ranges) = try Self.machine()
        var arena = try TableArena(ranges: ranges, memory: machine.view)
        for _ in 0..<40 {
            let four = arena.allocate(contiguous: 4, memory: machine.view)
            let single = arena.allocate(contiguous: 1, memory: machine.view)
            let first = try #require(four)
            let one = try #require(single)
            #expect(one.rawValue < first.rawValue || one.rawValue >= first.rawValue + 4 << 12)
            #expect(arena.allocatedCount == 5)
            let given = (0..<UInt64(4)).map { arena.free(PhysicalAddress(first.rawValue + $0 << 12)) }
            let last = arena.free(one)
            #expect(given == [true, true, true, true] && last)
        }
        let all = (0..<17).compactMap { _ in arena.allocate(memory: machine.view) }
        #expect(Set(all).count == 17)
        let none = arena.allocate(contiguous: 2, memory: machine.view)
        #expect(none == nil)
    }
}
