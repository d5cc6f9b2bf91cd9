import IOMMUModel
import Snapshot
import Store

/// A sealed generation that may be restored: header, seal, manifest, every checksum and the nonce are good; or all but
/// what ``losses`` says, where that was asked for.
///
/// Only a successful check makes one, so whatever takes it need not ask again.
public struct ManifestChecked: Sendable {
    /// Of the file that was checked.
    public let header: GenerationHeader
    /// Its seal, whose root digest was recomputed.
    public let seal: SealRecord
    /// The frozen state, normalised.
    public let snapshot: Snapshot
    /// Rows that are damaged, and the domains that depend on them: these must not be restored. Empty unless such a
    /// generation was to be accepted.
    public let losses: RecordLosses
    /// No memory was given: the outcome is ``RestoreVerdict/reconstructed`` at best.
    public let isReconstruction: Bool

    private init(
        header: GenerationHeader, seal: SealRecord, snapshot: Snapshot, losses: RecordLosses, isReconstruction: Bool
    ) {
        self.losses = losses
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
    ///   - isPartial: a generation with ``losses`` is accepted.
    /// - Throws: the verdict `cold-boot` or `stop` with the broken rule.
    public static func check(
        _ reader: borrowing GenerationReader, isRevoked: Bool = false, memory: MemoryNonce,
        expected: ExpectedSeal? = nil, isPartial: Bool = false
    ) throws(RestoreRefusal) -> ManifestChecked {
        let isAsked = reader.seal != nil && !isRevoked
        let state = isAsked ? reader.checkedState() : nil
        let losses = isPartial ? state.flatMap { RecordLosses($0) } : nil
        let (snapshot, defects) = (state?.snapshot, losses == nil ? state?.defects ?? [] : [])
        try RestoreGate(
            number: reader.header.number, seal: reader.seal, isRevoked: isRevoked, defects: defects, memory: memory,
            expected: expected
        ).pass()
        guard let seal = reader.seal, let snapshot else {
            preconditionFailure("the gate lets no generation pass that is not sealed and whole")
        }
        return ManifestChecked(
            header: reader.header, seal: seal, snapshot: snapshot, losses: losses ?? RecordLosses(),
            isReconstruction: memory == .noMemory)
    }

    /// As ``check(_:isRevoked:memory:expected:isPartial:)`` for the file at `path`; one that cannot be opened is a `stop`.
    public static func check(
        path: String, isRevoked: Bool = false, memory: MemoryNonce, expected: ExpectedSeal? = nil,
        isPartial: Bool = false
    ) throws(RestoreRefusal) -> ManifestChecked {
        try check(try open(path), isRevoked: isRevoked, memory: memory, expected: expected, isPartial: isPartial)
    }

    private static func open(_ path: String) throws(RestoreRefusal) -> GenerationReader {
        do {
            return try GenerationReader(path: path)
        } catch {
            throw RestoreRefusal(error)
        }
    }
}
