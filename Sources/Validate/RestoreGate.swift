import IOMMUModel
import Store

/// The questions that come before any restore, in their order (Schema/FORMAT.md, Nonce).
///
/// Values in, a verdict out: no file, no memory, so that every row of the table of verdicts can be tested by itself.
struct RestoreGate {
    var number: UInt64
    var seal: SealRecord?
    /// A later generation says that the seal no longer counts.
    var isRevoked: Bool
    /// Everything wrong with the file. A lost chunk of table pages counts as much as a lost device: the frames that it
    /// names would be taken for free ones.
    var defects: [StoreDefect]
    var memory: MemoryNonce
    /// The seal that the caller insists on.
    var expected: ExpectedSeal?

    /// Throws why nothing may be restored.
    func pass() throws(RestoreRefusal) {
        guard let seal else {
            throw RestoreRefusal(.coldBoot, .sealMissing, "generation \(number) is not sealed: nothing was handed over")
        }
        guard !isRevoked else {
            throw RestoreRefusal(
                .coldBoot, .sealRevoked, "the seal of generation \(number) was revoked: the old engine went on")
        }
        if let expected, !expected.matches(seal) {
            throw RestoreRefusal(
                .stop, .rootDigestDiffers, "the seal is \(seal.receipt.expected), \(expected) was asked for")
        }
        // A damaged seal must not pass for a lost memory: look at the file before its nonce is believed.
        if let defect = defects.first {
            throw RestoreRefusal(.stop, defect.rule, "\(defect)")
        }
        switch memory {
        case .noMemory: break
        case .absent:
            throw RestoreRefusal(
                .coldBoot, .nonceAbsent, "memory holds no handover nonce: what was handed over is gone")
        case .present(let found):
            guard let sealed = seal.nonce else {
                throw RestoreRefusal(
                    .stop, .nonceDiffers, "memory holds nonce \(found), the seal of generation \(number) has none")
            }
            guard sealed == found else {
                throw RestoreRefusal(
                    .stop, .nonceDiffers,
                    "memory holds nonce \(found), the seal of generation \(number) has \(sealed)")
            }
        }
    }
}
