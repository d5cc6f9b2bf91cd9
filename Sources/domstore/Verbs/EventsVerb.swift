import ArgumentParser

/// `domstore events STORE`: the view `event_view`.
struct EventsVerb: ListingVerb {
    static let configuration = CommandConfiguration(commandName: "events", abstract: "List the journal of events.")

    @OptionGroup var input: StoreArguments
    @OptionGroup var output: OutputOptions

    var view: String { "event_view" }
}
