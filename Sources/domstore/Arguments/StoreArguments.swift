import ArgumentParser

/// `STORE` and `--generation`, of every verb that reads one generation.
struct StoreArguments: ParsableArguments {
    @Argument(
        help: ArgumentHelp(
            "A generation file, or a directory of them: then the newest sealed one is read.", valueName: "store"),
        completion: .file(extensions: ["domstore"]))
    var store: String

    @Option(help: ArgumentHelp("Read generation N of the directory instead.", valueName: "n"))
    var generation: UInt64?
}
