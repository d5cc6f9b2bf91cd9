import IOMMUModel
import Testing

@testable import Store
@testable import Validate

@Suite struct RestoreGateTests {
    static let nonce = HandoverNonce(high: 1, low: 2)
    static let seal = SealRecord(
        generation: 3, nonce: nonce, root: RootDigest(7), tableCount: 20, rowCount: 1, timeNanoseconds: 0)

    static func gate(_ edit: (inout RestoreGate) -> Void = { _ in }) -> RestoreGate {
        var gate = RestoreGate(
            number: 3, seal: seal, isRevoked: false, defects: [], memory: .present(nonce), expected: nil)
        edit(&gate)
        return gate
    }

    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var verdict: RestoreVerdict
        var rule: RuleID
        var edit: @Sendable (inout RestoreGate) -> Void
        var testDescription: String { name }
    }

    static func defect(_ rule: RuleID, _ table: String, _ key: String = "") -> StoreDefect {
        StoreDefect(rule: rule, table: table, key: key, message: "damaged")
    }

    static let rows: [Row] = [
        Row(name: "no seal", verdict: .coldBoot, rule: .sealMissing) { $0.seal = nil },
        Row(name: "revoked", verdict: .coldBoot, rule: .sealRevoked) { $0.isRevoked = true },
        Row(name: "no nonce in memory", verdict: .coldBoot, rule: .nonceAbsent) { $0.memory = .absent },
        Row(name: "another nonce", verdict: .stop, rule: .nonceDiffers) {
            $0.memory = .present(HandoverNonce(high: 1, low: 3))
        },
        Row(name: "a nonce in memory, none in the seal", verdict: .stop, rule: .nonceDiffers) { $0.seal?.nonce = nil },
        Row(name: "a bad row", verdict: .stop, rule: .recordChecksum) {
            $0.defects = [defect(.recordChecksum, "attachment", "segment=0")]
        },
        Row(name: "a bad chunk of table pages", verdict: .stop, rule: .recordChecksum) {
            $0.defects = [defect(.recordChecksum, "table_chunk", "id=4"), defect(.rootDigestDiffers, "seal")]
        },
        Row(name: "a bad manifest", verdict: .stop, rule: .manifestDiffers) {
            $0.defects = [defect(.manifestDiffers, "manifest")]
        },
        Row(name: "a bad root digest", verdict: .stop, rule: .rootDigestDiffers) {
            $0.defects = [defect(.rootDigestDiffers, "seal")]
        },
        Row(name: "another seal than asked for", verdict: .stop, rule: .rootDigestDiffers) {
            $0.expected = ExpectedSeal(generation: 3, root: RootDigest(8))
        },
        // The file is looked at first: a damaged seal must not pass for a lost memory.
        Row(name: "a bad seal and no nonce in memory", verdict: .stop, rule: .recordChecksum) {
            $0.defects = [defect(.recordChecksum, "seal")]
            $0.memory = .absent
        },
    ]

    @Test(arguments: rows)
    func `each defect of the table of verdicts has its verdict and rule`(row: Row) {
        #expect {
            try Self.gate(row.edit).pass()
        } throws: { error in
            let refusal = error as? RestoreRefusal
            return refusal?.verdict == row.verdict && refusal?.rule == row.rule
                && refusal?.errno == (row.verdict == .coldBoot ? .ENOENT : .EINVAL)
        }
    }

    @Test func `a good seal and its nonce pass`() throws {
        try Self.gate().pass()
        try Self.gate { $0.memory = .noMemory }.pass()
        try Self.gate { $0.expected = $0.seal?.receipt.expected }.pass()
    }

    @Test func `only restored and reconstructed are a success`() {
        #expect(RestoreVerdict.allCases.filter(\.isSuccess) == [.restored, .reconstructed])
        #expect(RestoreVerdict.allCases.filter { $0.errno != nil } == [.coldBoot, .stop, .quarantined])
    }
}
