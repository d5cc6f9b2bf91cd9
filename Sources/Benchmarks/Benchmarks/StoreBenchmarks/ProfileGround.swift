import CReference
import Glibc
import IOMMUModel
import Snapshot
import Store
import Validate

/// A directory in which one side seals and loads a whole profile and the other does so with one flat file.
final class ProfileGround {
    let profile: StoreProfile
    private let snapshot: Snapshot
    private let flat: FlatState
    private let directory: String
    private var writer: GenerationWriter?

    var generation: String { "\(directory)/1.domstore" }
    private var flatFile: String { "\(directory)/flat" }
    private var treeFile: String { "\(directory)/tree" }

    /// In `TMPDIR`, or in /var/tmp, which is a disk where /tmp is memory. Both files are there, whole.
    init(_ profile: StoreProfile) throws {
        ref_keep_memory()
        self.profile = profile
        snapshot = profile.snapshot()
        flat = FlatState(snapshot)
        directory = try SealGround.makeDirectory()
        try prepareSeal()
        _ = try seal()
        try writer.take()?.release()
        _ = try writeFlat()
    }

    deinit {
        for name in [generation, "\(generation)-journal", flatFile, "\(flatFile).new", treeFile, "\(treeFile).new"] {
            unlink(name)
        }
        rmdir(directory)
    }

    /// What both sides write and load.
    var recordCount: Int { flat.recordCount }

    /// Size of the sealed generation in bytes.
    var fileBytes: Int { size(generation) }

    /// Size of the flat file in bytes.
    var flatBytes: Int { size(flatFile) }

    /// Size of the flattened device tree in bytes.
    var treeBytes: Int { size(treeFile) }

    private func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Opens a fresh generation.
    func prepareSeal() throws {
        try writer.take()?.release()
        unlink(generation)
        writer = try GenerationWriter(creating: generation, number: 1, origin: .engine)
    }

    /// Everything in one transaction.
    func seal() throws -> UInt64 {
        _ = try writer?.seal(snapshot, nonce: HandoverNonce(high: 1, low: 2))
        return UInt64(recordCount)
    }

    /// The same records and checksums in one file: written, synced, renamed, its directory synced.
    func writeFlat() throws -> UInt64 {
        var state = flat.state
        let error = ref_flat_write(flatFile, "\(flatFile).new", directory, &state)
        guard error == 0 else { throw StoreError.io(operation: "write", path: flatFile, errno: error) }
        return UInt64(recordCount)
    }

    /// Opens, verifies and decodes the sealed generation, as a restore does.
    func load() throws -> UInt64 {
        let checked = try ManifestChecked.check(try GenerationReader(path: generation), memory: .noMemory)
        let loaded = checked.snapshot
        let rows =
            loaded.devices.count + loaded.groups.count + loaded.attachments.count + loaded.domains.count
            + loaded.domainUnits.count + loaded.ioases.count + loaded.hwpts.count
        return UInt64(rows + loaded.areas.count + loaded.tablePages.reduce(0) { $0 + $1.pages.count })
    }

    /// Reads, verifies and decodes the flat file.
    func loadFlat() -> UInt64 {
        var state = flat.state
        return ref_flat_load(flatFile, &state)
    }

    /// The same records as a flattened device tree, written as the flat file is.
    func writeTree() throws -> UInt64 {
        var state = flat.state
        let error = ref_fdt_write(treeFile, "\(treeFile).new", directory, &state)
        guard error == 0 else { throw StoreError.io(operation: "write", path: treeFile, errno: error) }
        return UInt64(recordCount)
    }

    /// Reads the flattened device tree, every node and property.
    func loadTree() throws -> UInt64 {
        if treeBytes == 0 { _ = try writeTree() }
        var state = flat.state
        return ref_fdt_load(treeFile, &state)
    }
}
