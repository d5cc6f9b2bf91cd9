import ArgumentParser

/// `domstore ioas STORE`: the view `ioas_view`.
struct IOASVerb: ListingVerb {
    static let configuration = CommandConfiguration(commandName: "ioas", abstract: "List the I/O address spaces.")

    @OptionGroup var input: StoreArguments
    @OptionGroup var output: OutputOptions

    var view: String { "ioas_view" }
}
