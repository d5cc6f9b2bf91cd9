import ArgumentParser
import Evidence
import IOMMUModel
import Snapshot
import Store
import Validate

/// `domstore check STORE`: every rule, every finding.
struct CheckVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check", abstract: "Check a generation against every rule and list every finding.",
        discussion: """
            Never stops at the first. 'address' is that of the 64-bit word at fault. 'domstore rules ID' explains a \
            rule. Exit code 1 with any finding of severity 'error'.
            """)

    @OptionGroup var input: StoreArguments
    @OptionGroup var keys: KeyOptions
    @OptionGroup var output: OutputOptions

    static let columns = ["rule", "severity", "device", "pasid", "address", "iova", "message"]

    func run() throws {
        let key = try keys.read()
        let findings = try Progress.during("checking \(input.store)") { try Self.findings(input, key) }
        try output.list(Self.columns, findings.lazy.map(Self.row))
        if findings.contains(where: { $0.severity == .error }) { throw Failure.findings }
    }

    /// All findings, those about the file among them. A file with damaged records has only those: what is missing would
    /// show as findings of all kinds.
    static func findings(_ input: StoreArguments, _ key: SealKey? = nil) throws -> [Finding] {
        let reader = try input.open()
        // Without a code by that key not a byte of it is worth a finding.
        if let key { try SealCode.verify(reader, key: key) }
        let state = reader.checkedState()
        let defects = state.defects
        let snapshot: Snapshot
        do throws(StoreError) {
            snapshot = try reader.snapshot()
        } catch {
            guard !defects.isEmpty else { throw Failure(error, about: reader.header.path) }
            Talk.say("\(reader.header.path): records are damaged; only the file was checked, not what it describes")
            if reader.seal != nil { Talk.say("\(reader.header.path): \(Self.trust(state))") }
            return defects.map(Finding.init).sorted()
        }
        if !defects.isEmpty, reader.seal != nil { Talk.say("\(reader.header.path): \(Self.trust(state))") }
        return try Checker().check(snapshot, defects: defects)
    }

    /// What of a damaged sealed generation can still be trusted.
    private static func trust(_ state: GenerationReader.CheckedState) -> String {
        guard let snapshot = state.snapshot, let losses = RecordLosses(state) else {
            return "what is left cannot be trusted: restore stops"
        }
        let carried = Set(snapshot.devices.lazy.filter(\.preserved).map(\.requester))
        let lost = losses.requesters(snapshot).keys.filter(carried.contains).sorted()
        return "every row is there; restore --policy quarantine restores "
            + (lost.isEmpty
                ? "all \(carried.count) devices"
                : "\(carried.count - lost.count) of \(carried.count) devices, all but "
                    + lost.prefix(8).map(\.description).joined(separator: ", ")
                    + (lost.count > 8 ? " and \(lost.count - 8) more" : ""))
    }

    static func row(_ finding: Finding) -> [Cell] {
        let place = finding.record.map { "\($0.table)\($0.key.isEmpty ? "" : " \($0.key)"): " } ?? ""
        return [
            .text(finding.rule.rawValue), .text(finding.severity.rawValue), Cell(finding.device?.description),
            Cell(pasid: finding.pasid), Cell(finding.address), Cell(finding.iova), .text(place + finding.message),
        ]
    }
}
