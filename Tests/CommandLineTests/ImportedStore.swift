import Foundation

/// `vtd48`, imported once for all tests that only read it.
enum ImportedStore {
    static let folder = try! ScratchFolder()

    /// The generation file.
    static let path: String = {
        let path = folder["vtd48.domstore"]
        let run = try! Binary.run(["import", "--meta", Fixtures.images + "vtd48.json", "--store", path])
        precondition(run.status == 0, run.errors)
        return path
    }()

    /// The objects that `verb` lists with `--json`.
    static func list(_ verb: String, _ options: String...) throws -> [[String: Any]] {
        let run = try Binary.run([verb, path, "--json"] + options)
        let value = try JSONSerialization.jsonObject(with: Data(run.output.utf8))
        return value as? [[String: Any]] ?? []
    }
}
