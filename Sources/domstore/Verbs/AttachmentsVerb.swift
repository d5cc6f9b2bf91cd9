import ArgumentParser

/// `domstore attachments STORE`: the view `attachment_view`.
struct AttachmentsVerb: ListingVerb {
    static let configuration = CommandConfiguration(
        commandName: "attachments", abstract: "List which domain translates each device's requests.")

    @OptionGroup var input: StoreArguments
    @OptionGroup var output: OutputOptions

    var view: String { "attachment_view" }
}
