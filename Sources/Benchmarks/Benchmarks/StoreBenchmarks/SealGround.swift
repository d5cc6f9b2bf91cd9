import CReference
import Glibc
import IOMMUModel
import Snapshot
import Store

/// A directory in which one side seals a generation and the other writes as many bytes to a bare file.
final class SealGround: SealSides {
    let snapshot: Snapshot
    private let directory: String
    private var writer: GenerationWriter?
    private var bareFile: Int32 = -1
    /// What the bare side writes.
    private var bytes: [UInt8] = []
    /// What one seal asked the kernel for, and one bare write.
    private(set) var cost = SystemCost()
    private(set) var bareCost = SystemCost()
    /// Size in bytes of a generation that is open, before its seal.
    private(set) var openBytes = 0

    private var generation: String { "\(directory)/1.domstore" }
    private var bare: String { "\(directory)/bare" }

    /// The directory lies in `TMPDIR`, or in /var/tmp, which is a disk where /tmp is memory.
    init(_ snapshot: Snapshot) throws {
        self.snapshot = snapshot
        directory = try Self.makeDirectory()
        try prepareSeal()
        openBytes = fileBytes
        cost = try SystemCost.of(seal)
        bytes = Self.contents(of: generation, count: cost.bytes)
        try prepareBare()
        bareCost = try SystemCost.of(writeBare)
    }

    /// A new directory in `TMPDIR`, or in /var/tmp.
    static func makeDirectory() throws -> String {
        let parent = getenv("TMPDIR").map { String(cString: $0) } ?? "/var/tmp"
        var template = Array("\(parent)/domstore-bench-XXXXXX".utf8CString)
        guard let made = mkdtemp(&template) else {
            throw StoreError.io(operation: "mkdtemp", path: parent, errno: errno)
        }
        return String(cString: made)
    }

    deinit {
        if bareFile >= 0 { close(bareFile) }
        for name in [generation, "\(generation)-journal", bare] { unlink(name) }
        rmdir(directory)
    }

    /// Size of the generation in bytes.
    var fileBytes: Int {
        var status = stat()
        return stat(generation, &status) == 0 ? Int(status.st_size) : 0
    }

    var facts: [String] {
        [
            "\(fileBytes) bytes in the sealed file, \(openBytes) before the seal: \(SmallHost.deviceCount) devices, "
                + "\(SmallHost.areaCount) areas, \(SmallHost.tablePages) table pages",
            "bytes and writes include the rollback journal; the time of both sides is the disk's",
        ]
    }

    /// Opens a fresh generation.
    func prepareSeal() throws {
        try writer.take()?.release()
        unlink(generation)
        writer = try GenerationWriter(creating: generation, number: 1, origin: .engine)
    }

    func seal() throws {
        _ = try writer?.seal(snapshot, nonce: HandoverNonce(high: 1, low: 2))
    }

    /// Opens a fresh empty file.
    func prepareBare() throws {
        if bareFile >= 0 { close(bareFile) }
        unlink(bare)
        bareFile = open(bare, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0o600)
        guard bareFile >= 0 else { throw StoreError.io(operation: "open", path: bare, errno: errno) }
    }

    /// Writes the bytes and waits until they are on the disk.
    func writeBare() throws {
        let error = ref_bare_write(bareFile, bytes, bytes.count)
        guard error == 0 else { throw StoreError.io(operation: "write", path: bare, errno: error) }
    }

    /// `count` bytes: those of the file at `path`, over and over.
    private static func contents(of path: String, count: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0x5a, count: count)
        let file = open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return bytes }
        defer { close(file) }
        var filled = 0
        while filled < count {
            let got = bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress! + filled, count - filled, 0) }
            guard got > 0 else { break }
            filled += got
        }
        return bytes
    }
}
