import IOMMUModel
import PageTables

/// Sparse tables full of everything that can go wrong: the words point to each other at random.
struct RandomTables {
    let machine: TestMemory
    let shape: Shape
    var root: PhysicalAddress { machine.base }
    var stage: TranslationStage { TranslationStage(configuration: shape.configuration, root: root) }

    private let pages: Int
    private var random: SplitMix
    /// The slots of each page that are not 0.
    private var used: [PhysicalAddress: [Int]] = [:]

    /// The first `pages` pages of `machine` (the root is the first one).
    init(_ shape: Shape, seed: UInt64, pages: Int, at base: UInt64 = 0x10_0000) throws {
        // Few enough that a visit of every path ends soon.
        let entries = shape.configuration.topLevel > 3 ? 3 : 5
        self.shape = shape
        self.pages = pages
        machine = try TestMemory(at: base, pages: pages)
        random = SplitMix(seed: seed)
        for page in 0..<pages {
            // The root's slots may be few.
            var index = page == 0 ? 0 : Int.random(in: 0..<8, using: &random)
            let groups = page == 0 ? 8 : Int.random(in: 1...entries, using: &random)
            for _ in 0..<groups where index < 512 {
                index = fill(page, from: index)
                index += (page == 0 ? [0, 0, 1, 60] : [0, 0, 1, 100, 400]).randomElement(using: &random)!
            }
        }
    }

    /// Writes one to three words, or the slots of a contiguous leaf; the index after them.
    private mutating func fill(_ page: Int, from index: Int) -> Int {
        var index = index
        var word = self.word()
        if shape.isAMD, Int.random(in: 0..<3, using: &random) == 0 {
            // A group, whole in most cases.
            let count = 1 << Int.random(in: 1...4, using: &random)
            index = (index + count - 1) & ~(count - 1)
            guard index + count <= 512 else { return 512 }
            let level = Int.random(in: 0...2, using: &random)
            let log2 = 12 + 9 * level + count.trailingZeroBitCount
            word = shape.leaf(address(log2), log2, rights())
            for slot in index..<index + count { set(page, slot, word) }
            if Int.random(in: 0..<3, using: &random) == 0 {
                let slot = Int.random(in: index..<index + count, using: &random)
                set(page, slot, [0, word ^ 0x20, word ^ 1 << 61, self.word()].randomElement(using: &random)!)
            }
            return index + count
        }
        for _ in 0..<Int.random(in: 1...3, using: &random) where index < 512 {
            set(page, index, word)
            index += 1
            if Bool.random(using: &random) { word &+= 0x1000 }
        }
        return index
    }

    private mutating func set(_ page: Int, _ index: Int, _ word: UInt64) {
        machine.set(machine.page(page), index, word)
        if word != 0 { used[machine.page(page), default: []].append(index) }
    }

    private mutating func rights() -> Protection {
        [.readWrite, .readWrite, .readWrite, .read, .write].randomElement(using: &random)!
    }

    /// An output address of 40 bits, a multiple of `2^log2`, mostly of far more.
    private mutating func address(_ log2: Int) -> UInt64 {
        let low = max(log2, [12, 30, 38].randomElement(using: &random)!)
        return random.next() & ((1 << 40) - 1) & shape.addresses & (~0 << UInt64(low))
    }

    /// Any word: a table, a leaf, damaged, or noise.
    private mutating func word() -> UInt64 {
        let word: UInt64
        switch Int.random(in: 0..<10, using: &random) {
        case 0..<6:
            // AMD v1: any level may be named, so that some skip and some are invalid.
            let levels = shape.isAMD ? [1, 1, 2, 2, 3, 4, 5] : [1]
            let target = machine.page(Int.random(in: 0..<pages, using: &random))
            word = shape.table(target, level: levels.randomElement(using: &random)!)
        case 6: word = shape.table(PhysicalAddress(0x80_0000_0000 - 0x4000), level: 1)
        case 7, 8:
            let log2 = [12, 21, 30].randomElement(using: &random)!
            word = shape.leaf(address(log2), log2, rights())
        default: return random.next()
        }
        // Rights of the tables narrow, other bits do what they do.
        let rights: [UInt64] =
            switch shape.configuration.format {
            case .vtdSecondStage: [0, 1]
            case .amdV1: [61, 62]
            case .x86_64: [1, 2, 63]
            case .armv8Stage2: [6, 7, 10, 54]
            }
        switch Int.random(in: 0..<8, using: &random) {
        case 0: return word ^ 1 << [52, UInt64.random(in: 0..<64, using: &random)].randomElement(using: &random)!
        case 1, 2: return word ^ 1 << rights.randomElement(using: &random)!
        default: return word
        }
    }

    /// An input address that leads into the tables as far as they go, in most cases; or any at all.
    mutating func iova() -> UInt64 {
        if Int.random(in: 0..<8, using: &random) == 0 { return random.next() }
        let bits = shape.configuration.addressBits
        var linear = UInt64.random(in: 0..<4096, using: &random)
        var (page, level) = (root, shape.configuration.topLevel)
        while true {
            let slots = used[page] ?? [0]
            let isKnown = Int.random(in: 0..<8, using: &random) > 0
            let index = isKnown ? slots.randomElement(using: &random)! : Int.random(in: 0..<512, using: &random)
            linear |= UInt64(index) << UInt64(12 + 9 * level)
            guard let words = machine.memory.page(at: page) else { break }
            let entry = PageTableEntry.decode(words[index], level: level, configuration: shape.configuration)
            guard case .table(let next, let nextLevel) = entry.kind else {
                if level > 0 { linear |= random.next() & ((1 << UInt64(12 + 9 * level)) - 1) }
                break
            }
            // What is skipped is 0, but not always.
            if nextLevel < level - 1, Int.random(in: 0..<4, using: &random) == 0 {
                linear |= 1 << UInt64(3 + 9 * level)
            }
            (page, level) = (next, nextLevel)
        }
        linear &= .max >> UInt64(64 - bits)
        if shape.configuration.signExtended, linear >> UInt64(bits - 1) & 1 == 1 { linear |= ~0 << UInt64(bits) }
        return linear
    }
}
