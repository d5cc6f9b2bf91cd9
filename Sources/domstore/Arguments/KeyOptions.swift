import ArgumentParser
import Evidence

/// `--key`, of every verb that makes a seal or believes one.
struct KeyOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "A key file: a seal made gets a code by it (FILE.hmac), a seal read must have one.", valueName: "file"),
        completion: .file())
    var key: String?

    /// The key, read; `nil` when none is named.
    func read() throws(SealCodeError) -> SealKey? {
        guard let key else { return nil }
        return try SealKey(file: key)
    }
}
