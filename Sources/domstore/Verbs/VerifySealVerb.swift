import ArgumentParser
import Evidence
import Store

/// `domstore verify-seal STORE`: every checksum, the manifest and the root digest against the seal.
struct VerifySealVerb: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify-seal", abstract: "Verify every checksum, the manifest and the root digest of a seal.",
        discussion: """
            By itself this detects accidents, not forgery. With --key, the code beside the file (FILE.hmac) must vouch \
            for every byte of it: whoever has no key cannot make one. --sha256 prints the digest of the file, to be kept \
            elsewhere. With --expect-seal, a file that silently went back in time is noticed too. \
            Exit code 1 when anything differs; what differs is said on standard error.

            A handover that died right after its seal leaves a seal without a code, which --key refuses. With --make-code \
            the code is made now, for the seal that --expect-seal names, if nothing of the file is wrong: only do so when \
            you know that the file has been in no other hands since. A code that is there is never replaced.
            """)

    @OptionGroup var input: StoreArguments

    @Option(help: ArgumentHelp("The seal must be this one, as GENERATION:ROOT.", valueName: "gen:root"))
    var expectSeal: ExpectedSeal?

    @OptionGroup var keys: KeyOptions

    @Flag(help: "Make the code that is missing, by --key, of the seal that --expect-seal names.")
    var makeCode = false

    @Flag(help: "Print the SHA-256 of the whole file, too.")
    var sha256 = false

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard !makeCode || (keys.key != nil && expectSeal != nil) else {
            throw ValidationError("--make-code needs --key, and --expect-seal: which seal is vouched for must be said.")
        }
    }

    func run() throws {
        let key = try keys.read()
        let reader = try input.open()
        let path = reader.header.path
        guard let seal = reader.seal else {
            throw Failure(.badInput, "\(path): found no seal; expected a sealed generation")
        }
        let defects = Progress.during("verifying \(path)") { reader.defects() }
        let isOther = expectSeal.map { !$0.matches(seal) } ?? false
        var fields: [(String, Cell)] = [
            ("file", .text(path)), ("generation", Cell(seal.generation)), ("root", .text(seal.root.description)),
            ("nonce", Cell(seal.nonce?.description)), ("rows", Cell(seal.rowCount)), ("defects", Cell(defects.count)),
            ("seal", .text(!defects.isEmpty ? "broken" : isOther ? "other" : "good")),
        ]
        if sha256 { fields.append(("sha256", .text(reader.withFileBytes { FileDigest(of: $0) }.description))) }
        var refusal: SealCodeError?
        if let key {
            let isMade = makeCode && !isOther && defects.isEmpty
            do throws(SealCodeError) {
                if isMade, let expectSeal { try SealCode.make(of: reader, expecting: expectSeal, key: key) }
                try SealCode.verify(reader, key: key)
            } catch {
                refusal = error
            }
            fields.append(("code", .text(refusal != nil ? "refused" : isMade ? "made" : "good")))
            fields.append(("key", .text(key.identifier)))
        }
        try output.record(fields)
        for defect in defects.prefix(10) { Talk.say("\(path): \(defect)") }
        if defects.count > 10 { Talk.say("\(path): and \(defects.count - 10) more; 'domstore check' lists them all") }
        if let expectSeal, isOther {
            Talk.say("\(path): found seal \(seal.receipt.expected); expected \(expectSeal)")
        }
        if let refusal { throw Failure(refusal) }
        if isOther || !defects.isEmpty { throw Failure.findings }
    }
}
