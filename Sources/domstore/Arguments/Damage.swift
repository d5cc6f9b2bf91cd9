import IOMMUModel
import Store

/// What is wrong with a file that a verb lists from: told once, behind the data, and the exit code says so.
struct Damage {
    private let path: String
    /// Without what only follows from damaged records.
    private let defects: [StoreDefect]

    init(_ defects: [StoreDefect], of path: String) {
        self.path = path
        let consequences: Set<RuleID> = [.manifestDiffers, .rootDigestDiffers]
        let causes = defects.filter { !consequences.contains($0.rule) }
        self.defects = causes.isEmpty ? defects : causes
    }

    /// Says that records are damaged and what became of them, and ends the verb with exit code 1; else nothing.
    func report(_ consequence: String) throws(Failure) {
        guard let first = defects.first else { return }
        let count = defects.count == 1 ? "a record is damaged" : "\(defects.count) records are damaged, the first is"
        Talk.complain("\(path): \(count) (\(first)), \(consequence); 'domstore check' lists all")
        throw .findings
    }

    /// The file could not be read to its end.
    var unreadable: Failure { Failure(.badInput, "\(path): \(defects.last?.description ?? "cannot be read")") }
}
