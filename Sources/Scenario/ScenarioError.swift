import Glibc
import IOMMUModel

/// Why a scenario or a machine could not be run.
public enum ScenarioError: Error, Sendable, CustomStringConvertible {
    /// The file is not a scenario: where and what.
    case unreadable(file: String, place: String, what: String)
    /// The machine cannot be built as described.
    case machine(what: String)
    /// A step, or the outcome of the whole, is not the expected one; `number` counts from 1, 0 is the outcome.
    case step(number: Int, operation: String, expected: String, found: String)
    /// The scenario's own text does not fit together.
    case inconsistent(place: String, what: String)
    /// The engine or the hardware did not do what it promises: the run ended in the middle.
    case broken(what: String)
    /// An I/O operation on the memory file failed.
    case io(operation: String, path: String, errno: Int32)
    /// There is no room in the machine's RAM for new table pages.
    case noFrames(needed: UInt64, found: UInt64)

    /// One line: the place, what was found, what was expected.
    public var description: String {
        switch self {
        case .unreadable(let file, let place, let what):
            place.isEmpty ? "\(file): \(what)" : "\(file): \(place): \(what)"
        case .machine(let what): "machine: \(what)"
        case .step(0, let operation, let expected, let found):
            "expect.\(operation): found \(found), expected \(expected)"
        case .step(let number, let operation, let expected, let found):
            "steps[\(number - 1)] (\(operation)): found \(found), expected \(expected)"
        case .inconsistent(let place, let what): "\(place): \(what)"
        case .broken(let what): what
        case .io(let operation, let path, let errno): "\(path): \(operation): \(String(cString: strerror(errno)))"
        case .noFrames(let needed, let found):
            "RAM has room for \(found) new table pages, \(needed) are needed (outside the image and every mapping)"
        }
    }

    /// True when the error does not name a file itself: it is about the scenario or the image that was being run.
    public var isAboutInput: Bool {
        switch self {
        case .machine, .step, .inconsistent, .noFrames: true
        case .unreadable, .broken, .io: false
        }
    }
}
