import CReference
import Engine
import Glibc
import Handover
import IOMMUModel
import Snapshot
import Store

/// A host of profile L, pre-copied and frozen, whose seal is measured; and a file that one page is written into.
final class BlackoutGround: SealSides {
    private let directory: String
    /// `nil` while it runs.
    private var frozen: FrozenEngine?
    private let objects: LargeHost.Objects
    private let events: EventBuffer
    private var writer: GenerationWriter?
    private var recorder = SnapshotRecorder()
    private var bareFile: Int32 = -1
    private let page = [UInt8](repeating: 0x5a, count: 4096)
    private var round: UInt64 = 0
    /// Domains whose areas and tables are others after the pre-copy.
    private let dirtyDomains: Int

    /// What one seal asked the kernel for, and one bare write; what it wrote, and all.
    private(set) var cost = SystemCost()
    private(set) var bareCost = SystemCost()
    private(set) var rows = (changed: 0, all: 0)
    private(set) var facts: [String] = []

    private var generation: String { "\(directory)/1.domstore" }
    private var bare: String { "\(directory)/bare" }

    /// `dirtyPercent` of the domains are mapped anew between pre-copy and freeze, far apart from each other.
    init(dirtyPercent: Int) throws {
        dirtyDomains = (LargeHost.domainCount * dirtyPercent + 99) / 100
        directory = try SealGround.makeDirectory()
        let events = EventBuffer()
        let running = try LargeHost().running { events.append($0) }
        self.events = events
        objects = running.objects
        guard case .frozen(let cold) = running.engine.freeze() else { throw Errno.EBUSY }
        frozen = consume cold
        try prepareSeal()
        cost = try SystemCost.of(seal)
        rows = writer?.rows ?? (0, 0)
        let counts = recorder.counts
        facts = [
            "\(LargeHost.deviceCount) devices, \(counts.attachments) attachments, \(counts.areas) areas, "
                + "\(counts.tablePages) table pages; \(rows.changed) of \(rows.all) rows written"
        ]
        try prepareBare()
        bareCost = try SystemCost.of(writeBare)
    }

    deinit {
        if bareFile >= 0 { close(bareFile) }
        for name in [generation, "\(generation)-journal", bare] { unlink(name) }
        rmdir(directory)
    }

    /// Thaws the host, pre-copies it into a fresh generation, changes what is to be changed, and freezes it.
    func prepareSeal() throws {
        try writer.take()?.release()
        unlink(generation)
        guard var engine = frozen.take()?.thaw() else { return }
        _ = events.take()
        var writer = try GenerationWriter(creating: generation, number: 1, origin: .engine)
        recorder = SnapshotRecorder()
        try writer.precopy(recorder.changes(of: &engine))
        recorder.commit()
        // One more pass, as a host makes that waits for its moment.
        try writer.precopy(recorder.changes(of: &engine))
        recorder.commit()
        round += 1
        for number in 0..<dirtyDomains {
            let domain = number * LargeHost.domainCount / dirtyDomains
            for device in LargeHost.devices(domain) { try engine.unpreserve(device) }
            try engine.unmap(ioas: objects.spaces[domain], iova: IOVA(0), byteCount: .max)
            try LargeHost().map(domain, shift: round % 2 + 1, objects, on: &engine)
            for device in LargeHost.devices(domain) { try engine.preserve(device, in: objects.session) }
        }
        try writer.append(events.take())
        self.writer = consume writer
        guard case .frozen(let cold) = engine.freeze() else { throw Errno.EBUSY }
        frozen = consume cold
        // What the disk still does about the file before this one is not the seal's.
        sync()
    }

    /// From the frozen engine to the durable seal.
    func seal() throws {
        guard var cold = frozen.take() else { return }
        let changes = recorder.changes(of: &cold)
        // The freeze has told its event.
        _ = try writer?.seal(changes, nonce: HandoverNonce(high: 1, low: 2), events: events.take())
        frozen = consume cold
    }

    /// Opens a file of one page that is on the disk.
    func prepareBare() throws {
        if bareFile < 0 {
            bareFile = open(bare, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0o600)
            guard bareFile >= 0 else { throw StoreError.io(operation: "open", path: bare, errno: errno) }
            try writeBare()
        }
        lseek(bareFile, 0, SEEK_SET)
        sync()
    }

    /// Writes the page over again and waits until it is on the disk.
    func writeBare() throws {
        let error = ref_bare_write(bareFile, page, page.count)
        guard error == 0 else { throw StoreError.io(operation: "write", path: bare, errno: error) }
    }
}
