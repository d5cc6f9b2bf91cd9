import Evidence

extension Failure {
    /// What an error of a seal's code means on the command line.
    init(_ error: SealCodeError) {
        let status: ExitStatus =
            switch error {
            case .unreadable, .unwritable: .inputOutput
            case .notAKey, .unsealed, .journal, .exists: .badInput
            case .missing, .malformed, .otherKey, .forged, .differs, .otherSeal: .findings
            }
        self.init(status, error.description)
    }
}
