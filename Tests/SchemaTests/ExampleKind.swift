/// What an example shows: the first word after `example` in its info string.
enum ExampleKind: String, Sendable, CaseIterable {
    case header
    case row
    case areaRecord = "area-record"
    case directoryRecord = "directory-record"
    case pageRuns = "page-runs"
    case varint
    case zigzag
    case engineState = "engine-state"
    case eventArguments = "event-arguments"
    case manifestSum = "manifest-sum"
    case rootDigest = "root-digest"
    case expectedSeal = "expected-seal"
    case nonce
    case sha256 = "sha-256"
    case hmac = "hmac-sha-256"
    case sealCode = "seal-code"
}

extension Example {
    /// Decodes the bytes and encodes the fields, and compares both ways.
    func verify() throws {
        switch kind {
        case .header: try verifyHeader()
        case .row: try verifyRow()
        case .areaRecord: try verifyAreaRecord()
        case .directoryRecord: try verifyDirectoryRecord()
        case .pageRuns: try verifyPageRuns()
        case .varint: try verifyVarint()
        case .zigzag: try verifyZigzag()
        case .engineState: try verifyEngineState()
        case .eventArguments: try verifyEventArguments()
        case .manifestSum: try verifyManifestSum()
        case .rootDigest: try verifyRootDigest()
        case .expectedSeal: try verifyExpectedSeal()
        case .nonce: try verifyNonce()
        case .sha256: try verifySHA256()
        case .hmac: try verifyHMAC()
        case .sealCode: try verifySealCode()
        }
    }
}
