import ArgumentParser

/// `domstore groups STORE`: the view `group_view`, or `reserved_region_view`.
struct GroupsVerb: ListingVerb {
    static let configuration = CommandConfiguration(
        commandName: "groups", abstract: "List the IOMMU groups and who owns their DMA.")

    @OptionGroup var input: StoreArguments
    @Flag(help: "List the groups' reserved regions instead.")
    var reserved = false

    @OptionGroup var output: OutputOptions

    var view: String { reserved ? "reserved_region_view" : "group_view" }
}
