import ArgumentParser

/// `domstore areas STORE`: the view `area`.
struct AreasVerb: ListingVerb {
    static let configuration = CommandConfiguration(
        commandName: "areas", abstract: "List the areas of all I/O address spaces.")

    @OptionGroup var input: StoreArguments
    @OptionGroup var output: OutputOptions

    var view: String { "area" }
}
