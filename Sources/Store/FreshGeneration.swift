import Glibc
import IOMMUModel
import Migrations
import Snapshot

/// Writes a whole sealed generation at once: an import, an extract.
public enum FreshGeneration {
    /// The format version that is written.
    static var version: UInt32 { Migrations.current }

    /// Writes `snapshot` to a temporary name beside `path`, syncs it, reads it back, gives it its name and syncs the directory.
    ///
    /// - Parameters:
    ///   - replacing: an existing file at `path` is replaced, atomically.
    ///   - beforeNaming: told the path of the whole file while it has its temporary name only: what it writes beside
    ///     `path` is there before the file is. When it throws, the file does not get its name.
    /// - Throws: ``StoreError/alreadyExists(path:)`` and others; no temporary file is left behind.
    public static func write(
        _ snapshot: Snapshot, number: UInt64 = 1, to path: String, events: [Event] = [], nonce: HandoverNonce? = nil,
        parent: ParentGeneration? = nil, replacing: Bool = false,
        beforeNaming: (String) throws(StoreError) -> Void = { (_) throws(StoreError) in }
    ) throws(StoreError) -> SealReceipt {
        try write(
            snapshot, number: number, to: path, events: events, nonce: nonce, parent: parent, features: [],
            replacing: replacing, beforeNaming: beforeNaming)
    }

    /// As above, with `features` beside the known ones: a file of a version that there is not. With a required one it is not
    /// read back, for this version must refuse it.
    package static func write(
        _ snapshot: Snapshot, number: UInt64, to path: String, events: [Event], nonce: HandoverNonce?,
        parent: ParentGeneration?, features: [Feature], replacing: Bool,
        beforeNaming: (String) throws(StoreError) -> Void = { (_) throws(StoreError) in }
    ) throws(StoreError) -> SealReceipt {
        let target = try FilePath(path)
        if let status = try target.status() {
            if status.isSymbolicLink { throw .symbolicLink(path: path) }
            guard status.isRegular else { throw .notARegularFile(path: path) }
            guard replacing else { throw .alreadyExists(path: path) }
        }
        let temporary = FilePath(directory: target.directory, name: ".\(target.name).\(getpid()).tmp")
        do throws(StoreError) {
            let file = try WritableFile(
                creating: temporary, number: number, origin: snapshot.origin, parent: parent, durability: .atTheEnd)
            let receipt = try file.transaction { (records) throws(StoreError) in
                try records.write(features.map(FeatureRow.init))
                try records.write(events: events)
                try records.write(snapshot)
                return try records.writeSeal(version: version, generation: number, nonce: nonce)
            }
            file.close()
            let descriptor = try FileDescriptor(path: temporary.string, flags: O_RDONLY)
            try descriptor.setMode(0o444)
            try descriptor.sync()
            if features.allSatisfy({ !$0.isRequired || Feature.known.contains($0) }) { try verify(temporary, receipt) }
            try beforeNaming(temporary.string)
            try publish(temporary, as: target, replacing: replacing)
            try target.syncDirectory()
            return receipt
        } catch {
            // Never a file that is not ours: an existing temporary name was refused before anything was written.
            if case .alreadyExists(temporary.string) = error { throw error }
            try? temporary.remove()
            throw error
        }
    }

    /// Gives the whole file its name. A link never takes the place of a file that came to be in the meantime, as a rename
    /// does; a rename is the way on file systems without links.
    static func publish(
        _ temporary: FilePath, as target: FilePath, replacing: Bool
    ) throws(StoreError) {
        if !replacing {
            let call = FileCall.link(from: temporary.string, to: target.string)
            if call.isAllowed, link(temporary.string, target.string) == 0 { return try temporary.remove() }
            if errno == EEXIST { throw .alreadyExists(path: target.string) }
            guard [EPERM, EOPNOTSUPP, ENOSYS].contains(errno) else {
                throw .io(operation: "link", path: target.string, errno: errno)
            }
        }
        let call = FileCall.rename(from: temporary.string, to: target.string)
        guard call.isAllowed, rename(temporary.string, target.string) == 0 else {
            throw .io(operation: "rename", path: target.string, errno: errno)
        }
    }

    private static func verify(_ path: FilePath, _ receipt: SealReceipt) throws(StoreError) {
        let reader = try GenerationReader(path: path.string)
        guard reader.seal?.receipt == receipt else {
            throw .verificationFailed(path: path.string, what: "the seal reads back otherwise")
        }
        if let defect = reader.defects().first {
            throw .verificationFailed(path: path.string, what: defect.description)
        }
    }
}
