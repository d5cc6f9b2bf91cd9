import IOMMUModel
import PageTables
import Testing

struct TranslateTests {
    /// Root at page 0, one table per level below it, leaves of every size.
    static func build(bits: Int) throws -> (TestMemory, PageTableConfiguration) {
        let machine = try TestMemory()
        let shape = configuration(bits: bits, haw: 46)
        var page = 0
        for _ in 0..<shape.topLevel - 2 {
            machine.set(machine.page(page), 0, machine.page(page + 1).rawValue | 3)
            page += 1
        }
        let upper = machine.page(page)
        let middle = machine.page(page + 1)
        let lower = machine.page(page + 2)
        machine.set(upper, 0, middle.rawValue | 3)
        machine.set(upper, 1, 0x1_0000_0083)
        machine.set(middle, 0, lower.rawValue | 3)
        machine.set(middle, 1, 0x4000_0083)
        machine.set(middle, 2, lower.rawValue | 1)
        machine.set(middle, 3, 0x3fff_f003)
        machine.set(middle, 4, 0x4000_2083)
        machine.set(lower, 1, 0x3003)
        machine.set(lower, 2, 0x1_2345_6001)
        machine.set(lower, 3, 0x7002)
        machine.set(lower, 4, 0x4000_0000_0000_1003)
        return (machine, shape)
    }

    @Test(arguments: [39, 48, 57])
    func `A walk of VT-d's second stage ends in the address or in the fault, with the level`(bits: Int) throws {
        let (machine, shape) = try Self.build(bits: bits)
        func walk(_ iova: UInt64, _ access: Access = .read) -> TranslationResult {
            let result = Walker.translate(
                shape, root: machine.base, memory: machine.view, iova: IOVA(iova), access: access)
            let trace = Walker.trace(
                shape, root: machine.base, memory: machine.view, iova: IOVA(iova), access: access)
            #expect(trace.result == result)
            if case .translated(let translation) = result {
                #expect(trace.steps.last?.entryAddress == translation.entryAddress)
                #expect(trace.steps.last?.protection == translation.protection)
                #expect(trace.steps.count == shape.topLevel - translation.level + 1)
            }
            return result
        }
        func expect(_ iova: UInt64, _ access: Access, is pa: UInt64, _ log2: Int, _ level: Int, _ rights: Protection) {
            let found = walk(iova, access).translation
            #expect(found?.pa.rawValue == pa)
            #expect(found?.pageSizeLog2 == log2)
            #expect(found?.level == level)
            #expect(found?.protection == rights)
        }
        func expect(_ iova: UInt64, _ access: Access, faults fault: TranslationFault, _ level: Int?) {
            guard case .fault(let found, let foundLevel, let entry) = walk(iova, access) else {
                Issue.record("\(hex(iova)) does not fault")
                return
            }
            #expect(found == fault)
            #expect(foundLevel == level)
            #expect((entry == nil) == (level == nil))
        }
        expect(0x1000, .read, is: 0x3000, 12, 0, .readWrite)
        expect(0x1fff, .write, is: 0x3fff, 12, 0, .readWrite)
        expect(0x2ffe, .read, is: 0x1_2345_6ffe, 12, 0, .read)
        expect(0x3004, .write, is: 0x7004, 12, 0, .write)
        expect(0x3f_ffff, .read, is: 0x401f_ffff, 21, 1, .readWrite)
        expect(0x5234_5678, .write, is: 0x1_1234_5678, 30, 2, .readWrite)
        expect(0x40_1000, .read, is: 0x3000, 12, 0, .read)
        expect(0x2000, .write, faults: .permissionWrite, 0)
        expect(0x3000, .read, faults: .permissionRead, 0)
        expect(0x40_1000, .write, faults: .permissionWrite, 0)
        expect(0x40_3000, .write, faults: .permissionWrite, 0)
        expect(0x40_3000, .read, faults: .permissionRead, 0)
        expect(0x0, .read, faults: .notPresent, 0)
        expect(0xa0_0000, .read, faults: .notPresent, 1)
        expect(0x8000_0000, .read, faults: .notPresent, 2)
        expect((1 << UInt64(bits)) - 0x1000, .read, faults: .notPresent, shape.topLevel)
        expect(0x4000, .read, faults: .reservedBits, 0)
        expect(0x80_0000, .read, faults: .reservedBits, 1)
        expect(1 << UInt64(bits), .read, faults: .vaOutOfRange, nil)
        expect(.max - 0xfff, .read, faults: .vaOutOfRange, nil)
        #expect(walk(0x60_0000) == .absent(page: PhysicalAddress(0x3fff_f000), level: 0))
        #expect(
            Walker.translate(
                shape, root: PhysicalAddress(0x900_0000), memory: machine.view, iova: IOVA(0x1000), access: .read)
                == .absent(page: PhysicalAddress(0x900_0000), level: shape.topLevel))
    }

    /// Against the oracle, over tables in which everything occurs; the fast walk and the general one.
    @Test(arguments: Shape.all(haw: 40) + [Shape.wideAMD], [Protection.readWrite, .read])
    func `A walk ends where one step after the other does`(shape: Shape, rootProtection: Protection) throws {
        var outcomes: Set<String> = []
        for seed in 1...12 as ClosedRange<UInt64> {
            var tables = try RandomTables(shape.with(haw: 40, rootProtection: rootProtection), seed: seed, pages: 24)
            for _ in 0..<100 {
                let iova = tables.iova()
                for access in [Access.read, .write, .execute] {
                    let view = tables.machine.view
                    let result = Walker.translate(tables.stage, memory: view, iova: IOVA(iova), access: access)
                    let naive = NaiveWalk(tables.stage, tables.machine.memory, iova, access)
                    #expect(NaiveWalk(result) == naive, "seed \(seed) \(hex(iova)) \(access)")
                    let trace = Walker.trace(tables.stage, memory: view, iova: IOVA(iova), access: access)
                    #expect(trace.result == result)
                    expectSame(trace, result)
                    if case .fault(let fault, _, _) = result { outcomes.insert(fault.rawValue) }
                    if result.translation != nil { outcomes.insert("translated") }
                    if case .absent = result { outcomes.insert("absent") }
                }
            }
        }
        // All that the format has was met.
        var wanted: Set<String> = ["translated", "absent", "notPresent", "permissionWrite"]
        if !shape.isArm { wanted.insert("reservedBits") }
        switch shape.configuration.format {
        case .vtdSecondStage: wanted.formUnion(["permissionRead", "vaOutOfRange"])
        case .amdV1: wanted.formUnion(["permissionRead", "invalidLevel", "skippedLevelBits"])
        case .armv8Stage2:
            wanted.formUnion(["permissionRead", "vaOutOfRange", "accessFlag", "invalidEncoding"])
        case .x86_64:
            wanted.formUnion(["permissionUser", shape.configuration.signExtended ? "nonCanonical" : "vaOutOfRange"])
        }
        #expect(outcomes.isSuperset(of: wanted), "not met: \(wanted.subtracting(outcomes).sorted())")
    }

    /// The steps end in the entry that the result is about.
    private func expectSame(_ trace: WalkTrace, _ result: TranslationResult) {
        switch result {
        case .translated(let translation):
            #expect(trace.steps.last?.entryAddress == translation.entryAddress)
            #expect(trace.steps.last?.protection == translation.protection)
        case .fault(_, let level, let entry):
            #expect(trace.steps.last?.entryAddress == entry)
            #expect(trace.steps.last?.level == level)
        case .absent(_, let level): if let last = trace.steps.last { #expect(last.level > level) }
        }
    }

    @Test func `An input width below what the levels reach is a limit`() throws {
        let (machine, _) = try Self.build(bits: 48)
        let narrow = PageTableConfiguration(topLevel: 3, addressBits: 39)!
        func walk(_ iova: UInt64) -> TranslationResult {
            Walker.translate(narrow, root: machine.base, memory: machine.view, iova: IOVA(iova), access: .read)
        }
        #expect(walk(0x1000).translation?.pa == PhysicalAddress(0x3000))
        #expect(walk(1 << 39) == .fault(.vaOutOfRange, level: nil, entryAddress: nil))
    }

    @Test func `A table that points to itself is walked to the last level, no further`() throws {
        let (machine, shape) = try Self.build(bits: 48)
        machine.set(machine.base, 1, machine.base.rawValue | 3)
        let found = Walker.translate(
            shape, root: machine.base, memory: machine.view, iova: IOVA(0x80_4020_1000), access: .read)
        #expect(found.translation?.pa == machine.base)
        #expect(found.translation?.level == 0)
    }

    @Test(arguments: Shape.all)
    func `Accessed and dirty bits are set as the hardware sets them, and only when switched on`(shape: Shape) throws {
        // Armv8: leaves whose access flag is clear translate on units that set it, or that do not look at it.
        var configuration = shape.isArm ? shape.with(accessedDirty: true).configuration : shape.configuration
        configuration.accessedDirty = false
        let domain = try TestDomain(configuration)
        let mask = shape.with(accessedDirty: true).configuration.hardwareUpdatedMask
        let dirty: UInt64 =
            switch shape.configuration.format {
            case .vtdSecondStage: 0x200
            case .amdV1, .x86_64: 0x40
            case .armv8Stage2: 0
            }
        let tableMask = shape.isArm ? 0 : mask & ~dirty
        try domain.map(0x1000, 0x5000, 4096)
        try domain.map(0x2000, 0x6000, 4096, .read)
        try domain.map(0x20_0000, 0x20_0000, 0x20_0000)
        // As no driver leaves it: all bits clear.
        for node in domain.scan().nodes {
            for index in 0..<512 { domain.machine.set(node.page, index, domain.machine.get(node.page, index) & ~mask) }
        }
        let updating = TranslationStage(
            configuration: shape.with(accessedDirty: true).configuration, root: domain.table.root)
        func words(_ iova: UInt64) -> [UInt64] { domain.trace(iova).steps.map(\.word) }
        func walk(_ iova: UInt64, _ access: Access) -> Bool {
            Walker.translate(updating, memory: domain.view, iova: IOVA(iova), access: access).translation != nil
        }
        let before = domain.contents()
        #expect(domain.read(0x1000) != nil)
        #expect(!walk(0x2000, .write))
        #expect(!walk(0x3000, .read))
        _ = Walker.trace(updating, memory: domain.view, iova: IOVA(0x1000), access: .write)
        #expect(domain.contents() == before)
        for iova in [0x1000, 0x20_0000] as [UInt64] {
            let clean = words(iova).map { $0 & ~mask }
            #expect(walk(iova, .read))
            let used = clean.dropLast().map { $0 | tableMask }
            #expect(words(iova) == used + [clean.last! | mask & ~dirty])
            #expect(walk(iova + 8, .write))
            #expect(words(iova) == used + [clean.last! | mask])
        }
        #expect(zip(domain.contents(), before).allSatisfy { ($0 ^ $1) & ~mask == 0 })
    }
}
