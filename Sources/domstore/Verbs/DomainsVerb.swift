import ArgumentParser

/// `domstore domains STORE`: the view `domain_view`.
struct DomainsVerb: ListingVerb {
    static let configuration = CommandConfiguration(
        commandName: "domains", abstract: "List the domains, one line per domain and unit.")

    @OptionGroup var input: StoreArguments
    @OptionGroup var output: OutputOptions

    var view: String { "domain_view" }
}
