import Scenario

extension Failure {
    /// What an error of a run means on the command line; `path` is the scenario or image that was being run.
    init(_ error: ScenarioError, about path: String) {
        self.init(Self.status(of: error), error.isAboutInput ? "\(path): \(error)" : error.description)
    }

    private static func status(of error: ScenarioError) -> ExitStatus {
        switch error {
        case .io: .inputOutput
        case .step, .broken: .findings
        case .unreadable, .machine, .inconsistent, .noFrames: .badInput
        }
    }
}
