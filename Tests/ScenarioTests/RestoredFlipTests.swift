import Engine
import Foundation
import Handover
import IOMMUModel
import Restore
import Snapshot
import Store
import Testing
import Validate

@testable import Scenario

/// One byte of a sealed generation is changed, and the next kernel restores from it: it refuses, or every device translates
/// as before or is quarantined. Never another translation, never a trap.
///
/// `DOMSTORE_FLIP_SECONDS`: the time for flips, 8 without. `DOMSTORE_SEED`: the offset and order of an earlier run.
@Suite("Flipped bytes of a generation that is restored")
struct RestoredFlipTests {
    @Test(arguments: [FlavouredMachine.Flavour.secondStage, .amdV1])
    func flips(flavour: FlavouredMachine.Flavour) throws {
        let environment = ProcessInfo.processInfo.environment
        let seconds = Double(environment["DOMSTORE_FLIP_SECONDS"] ?? "") ?? 8
        let seed = UInt64(environment["DOMSTORE_SEED"] ?? "") ?? UInt64(Date().timeIntervalSince1970)
        let parent = FileManager.default.fileExists(atPath: "/dev/shm") ? "/dev/shm" : "/tmp"
        let folder = "\(parent)/domstore-restored-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }

        let machine = try FlavouredMachine.make([flavour])
        var frozen = try FlavouredMachine.frozen([flavour], on: machine)
        let sealed = frozen.snapshot()
        let nonce = try #require(HandoverNonce(bytes: frozen.drawNonce()))
        let path = folder + "/1.domstore"
        _ = try FreshGeneration.write(sealed, number: 1, to: path, nonce: nonce)
        _ = frozen.jump()
        machine.setNonce(nonce.bytes)
        var random = SplitMix64(seed: seed)
        let questions = EquivalenceTests.questions(sealed, anywhere: 400, &random)
        let before = EquivalenceTests.answers(questions, machine)

        var bytes = [UInt8](try Data(contentsOf: URL(filePath: path)))
        var offsets = Array(stride(from: Int(seed % 7), to: bytes.count, by: 7))
        offsets.shuffle(using: &random)
        let end = ContinuousClock.now + .milliseconds(Int(seconds * 500))
        var (refused, unchanged, equivalent) = (0, 0, 0)
        for offset in offsets where ContinuousClock.now < end {
            for mask in [0x01, 0x80, 0xff] as [UInt8] {
                bytes[offset] ^= mask
                defer { bytes[offset] ^= mask }
                try Data(bytes).write(to: URL(filePath: folder + "/2.domstore"))
                let checked: ManifestChecked
                do {
                    checked = try ManifestChecked.check(
                        path: folder + "/2.domstore", memory: MemoryNonce(machine.nonce))
                } catch {
                    refused += 1
                    continue
                }
                // Most bytes hold nothing: what is read is the same, and so is what follows.
                if checked.snapshot == sealed {
                    unchanged += 1
                    if unchanged > 20 { continue }
                }
                let restored = try Restorer.restore(checked.snapshot, machine: machine, configuration: .init()) { _ in }
                let trusted = Set(restored.devices.lazy.filter { $0.state == .restored }.map(\.requester))
                let after = EquivalenceTests.answers(questions, machine)
                for (index, question) in questions.enumerated() where after[index] != before[index] {
                    let isBlocked = !trusted.contains(question.key.requester)
                    if isBlocked, case .fault = after[index] { continue }
                    Issue.record("seed \(seed), byte \(offset) ^ \(mask): \(question) is \(after[index])")
                }
                // The memory is as it was only where nobody was quarantined.
                try #require(trusted.count == machine.devices.count, "seed \(seed), byte \(offset) ^ \(mask)")
                equivalent += 1
            }
        }
        print(
            "flips before a restore, \(flavour), seed \(seed): \(refused) refused, \(unchanged) unchanged, "
                + "\(equivalent) restored and equivalent")
        #expect(refused > 0 && equivalent > 0)
    }
}
