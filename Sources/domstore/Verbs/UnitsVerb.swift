import ArgumentParser

/// `domstore units STORE`: the view `unit_view`, or `unit_register_view`.
struct UnitsVerb: ListingVerb {
    static let configuration = CommandConfiguration(commandName: "units", abstract: "List the IOMMU units.")

    @OptionGroup var input: StoreArguments
    @Flag(help: "List the units' registers instead.")
    var registers = false

    @OptionGroup var output: OutputOptions

    var view: String { registers ? "unit_register_view" : "unit_view" }
}
