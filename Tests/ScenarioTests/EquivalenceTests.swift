import Engine
import Foundation
import Handover
import Hardware
import IOMMUModel
import PageTables
import Restore
import Snapshot
import Store
import Testing
import Validate

@testable import Scenario

/// What the devices of random machines reach, before the handover, between the kernels and after the restore: at the edges
/// of every area, in every hole, and anywhere.
@Suite("A restored machine translates as the old one did")
struct EquivalenceTests {
    /// One access of one device.
    struct Question: Hashable {
        var key: AttachmentKey
        var iova: IOVA
        var access: Access
    }

    /// What is asked of `sealed`: of each request both accesses at each area's edges and a byte to either side, at both ends
    /// and in the middle of each hole; and `count` anywhere.
    static func questions(_ sealed: Snapshot, anywhere count: Int, _ random: inout SplitMix64) -> [Question] {
        var result: [Question] = []
        func ask(_ key: AttachmentKey, _ iova: UInt64) {
            for access in [Access.read, .write] { result.append(Question(key: key, iova: IOVA(iova), access: access)) }
        }
        let spaces = Dictionary(sealed.hwpts.map { ($0.domain, $0.ioas) }) { first, _ in first }
        let areas = Dictionary(grouping: sealed.areas, by: \.ioas)
        for attachment in sealed.attachments {
            let own = (spaces[attachment.domain].flatMap { areas[$0] } ?? []).map(\.range).sorted()
            var free: UInt64 = 0
            for area in own {
                let (first, last) = (area.first.rawValue, area.last.rawValue)
                for edge in [first, last] { for iova in [edge &- 1, edge, edge &+ 1] { ask(attachment.key, iova) } }
                // The hole before it.
                if free < first {
                    for iova in [free, free + (first - free) / 2, first - 1] { ask(attachment.key, iova) }
                }
                free = last + 1
            }
            for iova in [free, free + ((1 << 48) - free) / 2, (1 << 48) - 1, 1 << 48, .max] {
                ask(attachment.key, iova)
            }
        }
        for _ in 0..<count / 2 {
            let key = sealed.attachments.randomElement(using: &random)!.key
            // Near what is mapped, low, or anywhere.
            switch random.next() % 4 {
            case 0: ask(key, random.next())
            case 1: ask(key, random.next() % (1 << 16))
            default: ask(key, random.next() % (1 << 38))
            }
        }
        return result
    }

    /// The answers of the hardware, nothing of which is remembered from before.
    static func answers(_ questions: [Question], _ machine: Machine) -> [DMAOutcome] {
        for unit in machine.units { unit.invalidateAll() }
        return questions.map { machine.dma($0.key.requester, pasid: $0.key.pasid, iova: $0.iova, access: $0.access) }
    }

    /// What the record's areas say, for domains that are not a guest's; `nil` where that is not known.
    private static func naive(_ sealed: Snapshot) -> (Question) -> PhysicalAddress?? {
        let domains = Dictionary(sealed.domains.map { ($0.id, $0.kind) }) { first, _ in first }
        let attached = Dictionary(sealed.attachments.map { ($0.key, $0.domain) }) { first, _ in first }
        let spaces = Dictionary(sealed.hwpts.map { ($0.domain, $0.ioas) }) { first, _ in first }
        let areas = Dictionary(grouping: sealed.areas, by: \.ioas)
        let backings = Dictionary(sealed.backings.map { ($0.id, $0.base.rawValue) }) { first, _ in first }
        return { question in
            guard let domain = attached[question.key], domains[domain] == .paging, let space = spaces[domain] else {
                return nil
            }
            let wanted: Protection = question.access == .read ? .read : .write
            guard let area = areas[space]?.first(where: { $0.range.contains(question.iova) }),
                area.protection.contains(wanted)
            else { return .some(nil) }
            let offset = area.offset + question.iova.distance(from: area.range.first)
            return PhysicalAddress(backings[area.backing]! + offset)
        }
    }

    @Test(
        "Edges, holes and 10,000 addresses of each machine",
        arguments: FlavouredMachine.all, [1, 2] as [UInt64])
    func equivalence(flavours: [FlavouredMachine.Flavour], seed: UInt64) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/equivalence-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let machine = try FlavouredMachine.make(flavours)
        var frozen = try FlavouredMachine.frozen(flavours, on: machine, seed: seed)
        let sealed = frozen.snapshot()
        guard let nonce = HandoverNonce(bytes: frozen.drawNonce()) else { throw Errno.EINVAL }
        _ = try FreshGeneration.write(sealed, number: 1, to: folder + "/1.domstore", nonce: nonce)
        var random = SplitMix64(seed: seed)
        let questions = Self.questions(sealed, anywhere: 10_000, &random)
        let before = Self.answers(questions, machine)
        _ = frozen.jump()
        machine.setNonce(nonce.bytes)
        #expect(Self.answers(questions, machine) == before)
        // The hardware reaches what the areas say, and nothing else.
        let naive = Self.naive(sealed)
        var reached = 0
        for (question, answer) in zip(questions, before) where answer != .interrupt {
            guard let expected = naive(question) else { continue }
            if case .address(let address) = answer {
                reached += 1
                #expect(expected == address, "\(question)")
            } else {
                #expect(expected == nil, "\(question): \(answer)")
            }
        }
        let hasOwn = sealed.domains.contains { $0.kind == .paging } && !flavours.allSatisfy(\.isNested)
        #expect(reached > 100 || !hasOwn)
        #expect(before.contains { if case .address = $0 { true } else { false } })

        let checked = try ManifestChecked.check(path: folder + "/1.domstore", memory: MemoryNonce(machine.nonce))
        var restored = try Restorer.restore(checked.snapshot, machine: machine, configuration: .init()) { _ in }
        #expect(restored.devices.count == sealed.attachments.count)
        #expect(restored.devices.allSatisfy { $0.state == .restored })
        #expect(Self.answers(questions, machine) == before)
        let audited = restored.audit(checked.snapshot)
        #expect(audited.findings == 0 && audited.quarantined.isEmpty && audited.tablePages > 0)
        #expect(Self.answers(questions, machine) == before)
        // Other leaves would have been seen.
        for page in sealed.tablePages.flatMap(\.pages.entries) where page.level == 0 {
            for index in 0..<512 as Range<UInt64> {
                #expect(machine.memory.setWord(0, at: PhysicalAddress(page.address.rawValue + index * 8)))
            }
        }
        #expect(Self.answers(questions, machine) != before)
    }
}
