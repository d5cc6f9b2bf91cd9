import IOMMUModel
import Snapshot
import Store

/// A sealed generation that may be restored: header, seal, manifest, every checksum and the nonce are good.
///
/// Only a successful check makes one, so whatever takes it need not ask again.
public struct ManifestChecked: Sendable {
    /// Of the file that was checked.
    public let header: GenerationHeader
    /// Its seal, whose root digest was recomputed.
    public let seal: SealRecord
    /// The frozen state, normalised.
    public let snapshot: Snapshot
    /// No memory was given: the outcome is ``RestoreVerdict/reconstructed`` at best.
    public let isReconstruction: Bool

    private init(header: GenerationHeader, seal: SealRecord, snapshot: Snapshot, isReconstruction: Bool) {
        self.header = header
        self.seal = seal
        self.snapshot = snapshot
        self.isReconstruction = isReconstruction
    }

    /// Checks one open file. O(file).
    ///
    /// - Parameters:
    ///   - isRevoked: a later generation revokes this one (``StoreLocation/generations()`` knows).
    ///   - memory: what the surviving memory holds.
    ///   - expected: the seal that the caller insists on, if any.
    /// - Throws: the verdict `cold-boot` or `stop` with the broken rule.
    public static func check(
        _ reader: borrowing GenerationReader, isRevoked: Bool = false, memory: MemoryNonce,
        expected: ExpectedSeal? = nil
    ) throws(RestoreRefusal) -> ManifestChecked {
        let isAsked = reader.seal != nil && !isRevoked
        let (snapshot, defects) = isAsked ? reader.snapshotAndDefects() : (nil, [])
        try RestoreGate(
            number: reader.header.number, seal: reader.seal, isRevoked: isRevoked, defects: defects, memory: memory,
            expected: expected
        ).pass()
        guard let seal = reader.seal, let snapshot else {
            preconditionFailure("the gate lets no generation pass that is not sealed and whole")
        }
        return ManifestChecked(
            header: reader.header, seal: seal, snapshot: snapshot, isReconstruction: memory == .noMemory)
    }

    /// As ``check(_:isRevoked:memory:expected:)`` for the file at `path`; one that cannot be opened is a `stop`.
    public static func check(
        path: String, isRevoked: Bool = false, memory: MemoryNonce, expected: ExpectedSeal? = nil
    ) throws(RestoreRefusal) -> ManifestChecked {
        try check(try open(path), isRevoked: isRevoked, memory: memory, expected: expected)
    }

    private static func open(_ path: String) throws(RestoreRefusal) -> GenerationReader {
        do {
            return try GenerationReader(path: path)
        } catch {
            throw RestoreRefusal(error)
        }
    }
}
