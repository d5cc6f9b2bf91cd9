import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("The listing of a VT-d unit")
struct VTDListingTests {
    /// Rule, severity, address, requester.
    private func brief(_ listing: LookupListing) -> [String] {
        listing.defects.map { defect in
            let address = defect.address.map { hex($0.rawValue, digits: 1) } ?? "-"
            let severity = defect.severity.map { " \($0.rawValue)" } ?? ""
            let pasid = defect.pasid.map { "#\($0.rawValue)" } ?? ""
            let absent = defect.absentPage.map { " absent \(hex($0.rawValue, digits: 1))" } ?? ""
            return
                "\(defect.rule.rawValue)\(severity) at \(address) of "
                + "\(hex(UInt64(defect.rid!), digits: 1))\(pasid)\(absent)"
        }
    }

    @Test("Legacy mode lists present entries with what the hardware makes of them, and tells what is wrong where")
    func legacy() throws {
        let machine = try SmallMachine()
        machine.setContext(8, SmallMachine.translated)
        machine.setContext(9, VTDContextEntry(low: 0x12000, high: 0x702))
        machine.setContext(10, VTDContextEntry(low: 0x12001, high: 0x782))
        machine.setContext(11, VTDContextEntry(low: 0x12001, high: 0x703))
        machine.setContext(12, VTDContextEntry(low: 0x1200d, high: 0x702))
        machine.setContext(13, VTDContextEntry(low: 0, high: 0x100))
        machine.setRoot(bus: 3, VTDRootEntry(contextTable: PhysicalAddress(0x5000_0000)))
        machine.setRoot(bus: 4, VTDRootEntry(low: 0x11003, high: 0))
        machine.setRoot(bus: 5, VTDRootEntry(low: 0x11002, high: 0))
        machine.setRoot(bus: 6, VTDRootEntry(low: 0x11000, high: 0))
        let listing = machine.hardware.listing(memory: machine.memory.view)
        #expect(!listing.rootIsAbsent && listing.root == SmallMachine.rootTable)
        #expect(listing.entries.map(\.rid) == [8, 10, 11, 12, 0x408, 0x40a, 0x40b, 0x40c])
        #expect(
            listing.entries.map(\.resolution.reason) == [
                nil, .contextReserved, .contextInvalid, .contextInvalid, .rootReserved, .rootReserved, .rootReserved,
                .rootReserved,
            ])
        for entry in listing.entries {
            #expect(machine.hardware.resolve(entry.rid, pasid: nil, memory: machine.memory.view) == entry.resolution)
            #expect(entry.entryAddress == entry.deviceEntryAddress && entry.pasid == nil)
        }
        let contexts = [
            "vtd-context-reserved warning at 0x11090 of 0x%9", "vtd-context-reserved at 0x110a8 of 0x%a",
            "vtd-context-address-width at 0x110b8 of 0x%b", "vtd-context-translation-type at 0x110c0 of 0x%c",
            "vtd-context-reserved warning at 0x110d8 of 0x%d",
        ]
        func of(bus: String) -> [String] {
            contexts.map { line in
                let parts = line.split(separator: "%").map(String.init)
                return parts[0] + bus + parts[1]
            }
        }
        #expect(
            brief(listing) == of(bus: "") + [
                "vtd-context-table-unreachable at 0x10030 of 0x300 absent 0x50000000",
                "vtd-root-reserved at 0x10040 of 0x400", "table-reused at 0x10040 of 0x400",
            ] + of(bus: "40") + ["vtd-root-reserved warning at 0x10050 of 0x500"])
        #expect(
            listing.pages == [
                .init(address: SmallMachine.rootTable, kind: .vtdRoot),
                .init(address: SmallMachine.contextTable, kind: .vtdContext),
            ])
    }

    @Test("A root table that memory does not hold is told; modes that are not read list nothing")
    func nothingToRead() throws {
        var machine = try ScalableMachine()
        for mode in VTDRootTableAddress.Mode.allCases {
            machine.hardware.registers.rootTableAddress = VTDRootTableAddress(
                mode: mode, rootTable: PhysicalAddress(0x7000_0000))
            let listing = machine.hardware.listing(memory: machine.memory.view)
            #expect(listing.rootIsAbsent == (mode == .legacy || mode == .scalable))
            #expect(listing.entries.isEmpty && listing.defects.isEmpty && listing.pages.isEmpty)
            #expect(listing.root == PhysicalAddress(0x7000_0000))
        }
    }

    @Test("Scalable mode lists untagged requests and every other PASID, whether the device may use it or not")
    func scalable() throws {
        let machine = try ScalableMachine(directorySizeCode: 1, pasidEnabled: false, ridPASID: 5)
        for pasid: UInt32 in [0, 5, 63, 64, 16383] { machine.setEntry(pasid, ScalableMachine.first) }
        machine.setContext(
            0xff,
            VTDScalableContextEntry(directory: PhysicalAddress(0x1a0000), directorySizeCode: 0, pasidEnabled: false))
        let listing = machine.hardware.listing(memory: machine.memory.view)
        #expect(listing.entries.map(\.rid) == [8, 8, 8, 8, 8])
        #expect(listing.entries.map { $0.pasid?.rawValue } == [nil, 0, 63, 64, 16383])
        for entry in listing.entries {
            let pasid = entry.pasid?.rawValue ?? 5
            #expect(entry.entryAddress == PhysicalAddress(machine.place(pasid)))
            #expect(entry.deviceEntryAddress == ScalableMachine.context)
            let context = try #require(entry.resolution.context)
            #expect(context.entryAddress == entry.entryAddress && context.cachePASID?.rawValue == pasid)
        }
        // A device whose PASID structures are empty is not listed: that is how it is blocked.
        #expect(machine.resolve(rid: 0xff).reason == .pasidDirectoryNotPresent)
        #expect(brief(listing) == ["vtd-pasid-not-enabled at 0x101100 of 0x8"])
        #expect(
            listing.pages.map(\.kind) == [
                .vtdRoot, .vtdScalableContext, .vtdScalableContext, .vtdPASIDDirectory, .vtdPASIDTable, .vtdPASIDTable,
                .vtdPASIDTable, .vtdPASIDDirectory,
            ])
        #expect(listing.pages == listing.pages.sorted())
    }

    @Test("Each rule of the scalable structures is told at the word at fault")
    func scalableDefects() throws {
        func defects(_ change: (ScalableMachine) -> Void) throws -> [String] {
            let machine = try ScalableMachine(directorySizeCode: 0)
            machine.setEntry(0, ScalableMachine.second)
            machine.setEntry(1, ScalableMachine.nested)
            change(machine)
            return brief(machine.hardware.listing(memory: machine.memory.view))
        }
        func set(_ address: UInt64, or bits: UInt64) throws -> [String] {
            try defects { $0.set(address, $0.word(address) | bits) }
        }
        func set(_ address: UInt64, to word: UInt64) throws -> [String] { try defects { $0.set(address, word) } }
        #expect(try defects { _ in } == [])
        #expect(try set(0x100000, or: 2) == ["vtd-root-reserved at 0x100000 of 0x0"])
        #expect(try set(0x100008, to: 2) == ["vtd-root-reserved warning at 0x100008 of 0x80"])
        #expect(
            try set(0x100008, to: 0x5000_0001) == [
                "vtd-context-table-unreachable at 0x100008 of 0x80 absent 0x50000000"
            ])
        #expect(try set(0x100018, to: 0x102001) == ["table-reused at 0x100018 of 0x180"])
        #expect(try set(0x101108, or: 1 << 40) == ["vtd-context-reserved at 0x101108 of 0x8"])
        #expect(try set(0x101128, to: 1) == ["vtd-context-reserved warning at 0x101128 of 0x9"])
        #expect(try set(0x101120, to: 2) == [], "FPD alone is how a driver leaves an entry")
        #expect(try set(0x101108, to: 8192) == ["vtd-context-translation-type at 0x101108 of 0x8"])
        #expect(
            try set(0x101100, to: 0x1bf000 | 0x209) == [], "one page of a directory may be all that memory has")
        #expect(
            try set(0x101100, to: 0x1bf000 | 0x609) == [
                "vtd-pasid-directory-unreachable at 0x101100 of 0x8 absent 0x1c0000"
            ])
        #expect(try set(0x110000, or: 8) == ["vtd-pasid-directory-reserved at 0x110000 of 0x8"])
        #expect(try set(0x110008, to: 0x141000) == ["vtd-pasid-directory-reserved warning at 0x110008 of 0x8"])
        #expect(
            try set(0x110008, to: 0x77_0000_0001) == [
                "vtd-pasid-table-unreachable at 0x110008 of 0x8 absent 0x7700000000"
            ])
        #expect(try set(0x110008, to: 0x140001).contains("table-reused at 0x110008 of 0x8"))
        #expect(try set(0x110008, to: 0x110001).contains("table-reused at 0x110008 of 0x8"), "a loop")
        #expect(
            try set(0x110000 + 128 * 8, to: 0x141001) == ["vtd-pasid-beyond-directory at 0x101100 of 0x8"],
            "the word that ends the directory is the one at fault")
        #expect(try set(0x140000, or: 1 << 10) == ["vtd-pasid-reserved at 0x140000 of 0x8"])
        #expect(try set(0x140058, to: 1) == ["vtd-pasid-reserved at 0x140058 of 0x8#1"])
        #expect(try set(0x140080, to: 4) == ["vtd-pasid-reserved warning at 0x140080 of 0x8#2"])
        #expect(try set(0x140080, to: 2) == [])
        #expect(try set(0x140000, or: 1 << 8) == ["vtd-pasid-translation-type at 0x140000 of 0x8"])
        #expect(try set(0x140000, or: 4) == ["vtd-pasid-address-width at 0x140000 of 0x8"])
        #expect(try set(0x140050, or: 8) == ["vtd-pasid-address-width at 0x140050 of 0x8#1"])
        #expect(try set(0x140050, or: 1 << 39) == ["vtd-pasid-address-width at 0x140050 of 0x8#1"])
    }

    @Test("A directory that devices share is listed for each, its defects once")
    func sharedDirectory() throws {
        let machine = try ScalableMachine()
        machine.setEntry(0, ScalableMachine.second)
        machine.setEntry(1, VTDPASIDEntry(0x160001 | 6 << 6))
        for rid: UInt16 in [9, 0x80] {
            machine.setContext(
                rid,
                VTDScalableContextEntry(
                    directory: ScalableMachine.directory, directorySizeCode: 0, pasidEnabled: true))
        }
        let listing = machine.hardware.listing(memory: machine.memory.view)
        #expect(listing.entries.map(\.rid) == [8, 8, 9, 9, 0x80, 0x80])
        #expect(brief(listing) == ["vtd-pasid-translation-type at 0x140040 of 0x8#1"])
        #expect(listing.pages.count(where: { $0.kind == .vtdPASIDTable }) == 1)
    }

    @Test("Hostile structures end at the bound, which is told")
    func bound() throws {
        let machine = try ScalableMachine()
        // Every function of every bus has the same directory, whose every entry leads to the same full table.
        for slot in 0..<16384 { machine.set(0x110000 + UInt64(slot) * 8, 0x140001) }
        for slot: UInt64 in 0..<64 { machine.set(0x140000 + slot * 64, 0x160001 | 2 << 6 | 2 << 2) }
        for devfn: UInt16 in 0..<128 {
            machine.setContext(
                devfn,
                VTDScalableContextEntry(
                    directory: ScalableMachine.directory, directorySizeCode: 7, pasidEnabled: true))
        }
        for bus: UInt64 in 0..<256 {
            machine.set(0x100000 + bus * 16, 0x101001)
            machine.set(0x100008 + bus * 16, 0x101001)
        }
        for (pageUses, pasids, entries) in [(1 << 20, 5000, 5000), (100, 1 << 20, 99 * 64 - 1)] {
            let listing = machine.hardware.listing(
                memory: machine.memory.view, budget: LookupBudget(pageUses: pageUses, pasids: pasids))
            // One page use is the directory's first page; RID_PASID's entry is the untagged one.
            #expect(listing.entries.count(where: { $0.pasid != nil }) == entries)
            #expect(listing.defects.last?.rule == .tableBudgetExceeded)
            #expect(listing.defects.count(where: { $0.rule == .tableBudgetExceeded }) == 1)
        }
    }
}
