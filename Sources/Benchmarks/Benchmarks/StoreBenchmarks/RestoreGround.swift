import CReference
import Engine
import Glibc
import Handover
import IOMMUModel
import Measurement
import Restore
import Snapshot
import Store
import Validate

/// A host that was sealed and jumped: what a restore finds.
final class RestoreGround {
    private let directory: String
    private let machine: Machine
    private(set) var facts: [String] = []

    private var generation: String { "\(directory)/1.domstore" }

    init(_ host: LargeHost) throws {
        let directory = try SealGround.makeDirectory()
        self.directory = directory
        let running = try host.running { _ in }
        guard case .frozen(var frozen) = running.engine.freeze() else { throw Errno.EBUSY }
        let snapshot = frozen.snapshot()
        guard let nonce = HandoverNonce(bytes: frozen.drawNonce()) else { throw Errno.EINVAL }
        _ = try FreshGeneration.write(snapshot, number: 1, to: "\(directory)/1.domstore", nonce: nonce)
        machine = frozen.jump()
        machine.setNonce(nonce.bytes)
        let pages = snapshot.tablePages.reduce(0) { $0 + $1.pages.count }
        facts = [
            "\(snapshot.devices.count) devices, \(snapshot.attachments.count) attachments, \(snapshot.areas.count) areas, "
                + "\(pages) table pages"
        ]
    }

    deinit {
        unlink(generation)
        rmdir(directory)
    }

    /// From the file to devices that are attached; answers how many attachments there are.
    func restore() throws -> UInt64 {
        let checked = try ManifestChecked.check(path: generation, memory: MemoryNonce(machine.nonce))
        let restored = try Restorer.restore(checked.snapshot, machine: machine, configuration: .init()) { _ in }
        guard restored.devices.allSatisfy({ $0.state == .restored }) else { throw Errno.EIO }
        return UInt64(restored.devices.count)
    }

    /// Every row of the same file, by SQLite alone; answers how many attachments there are.
    func scan() throws -> UInt64 {
        var (rows, bytes): (UInt64, UInt64) = (0, 0)
        guard ref_scan(generation, "attachment", &rows, &bytes) == 0, bytes > 0 else { throw Errno.EIO }
        return rows
    }
}

extension Benchmark {
    /// Profile L, restored.
    public static func restoreLarge() throws -> Benchmark {
        let ground = try RestoreGround(LargeHost())
        return Benchmark(
            name: "restore-l",
            summary: "profile L: check and restore, beside a bare sqlite3_step scan of the same rows in C", goal: 5,
            clock: .wall, subject: Side(label: "restore", operations: 1, run: { _ in try ground.restore() }),
            reference: Side(label: "scan", operations: 1, run: { _ in try ground.scan() }),
            facts: { ground.facts })
    }
    /// The devices and domains of profile L with 96 MiB each, in pages of 4 KiB and of 2 MiB.
    public static func restoreSmallPages() throws -> Benchmark {
        let small = try RestoreGround(LargeHost(bytesPerDomain: 96 << 20, isInSmallPages: true))
        let large = try RestoreGround(LargeHost(bytesPerDomain: 96 << 20))
        return Benchmark(
            name: "restore-4k",
            summary: "profile L with 96 GiB: check and restore when they are mapped in 4 KiB pages, beside 2 MiB pages",
            goal: 1.2, clock: .wall,
            subject: Side(label: "4 KiB", operations: 1, run: { _ in try small.restore() }),
            reference: Side(label: "2 MiB", operations: 1, run: { _ in try large.restore() }),
            facts: { small.facts + large.facts })
    }
}
