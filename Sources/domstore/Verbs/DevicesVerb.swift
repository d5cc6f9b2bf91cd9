import ArgumentParser

/// `domstore devices STORE`: the view `device_view`.
struct DevicesVerb: ListingVerb {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "List the devices: requester ids behind a unit.")

    @OptionGroup var input: StoreArguments
    @OptionGroup var output: OutputOptions

    var view: String { "device_view" }
}
