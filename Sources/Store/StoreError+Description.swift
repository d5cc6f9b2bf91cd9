import Glibc
import IOMMUModel

extension StoreError: CustomStringConvertible {
    /// One line; it names the path where the case has one.
    public var description: String {
        switch self {
        case .cannotOpen(let path, let errno): "\(path): cannot open: \(Self.text(errno))"
        case .notARegularFile(let path): "\(path): not a regular file"
        case .symbolicLink(let path): "\(path): is a symbolic link, which is not followed"
        case .tooLarge(let path, let bytes, let limit): "\(path): \(bytes) bytes, more than the limit of \(limit)"
        case .notOurs(let id):
            "not a domstore file: application_id is \(hex(UInt64(id), digits: 8)), expected 0x646d7374"
        case .tooNew(let found, let supported):
            "format version \(found) is newer than \(supported), the newest this program reads"
        case .tooOld(let found, let supported): "format version \(found) is older than \(supported), migrate it first"
        case .unknownFeature(let bit, let name, let version, let supported):
            "format version \(version) with the required feature \(bit) (\(name)); this program reads version \(supported) with "
                + Feature.known.map { "\($0.bit) (\($0.name))" }.joined(separator: ", ")
        case .headerDamaged(let offset, let what): "header damaged at byte \(offset): \(what)"
        case .schemaDiffers(let name): "schema differs from that of its version: \(name)"
        case .journalDamaged(let path, let what): "\(path): rollback journal unusable: \(what)"
        case .heldByEngine(let path): "\(path): held by a running engine"
        case .heldHere(let path): "\(path): held by this process"
        case .alreadyExists(let path): "\(path): exists already"
        case .emptyDirectory(let path): "\(path): holds no generation"
        case .noSuchGeneration(let path, let number): "\(path): holds no generation \(number)"
        case .noSealedGeneration(let path): "\(path): holds no sealed generation"
        case .recordDamaged(let table, let key, let what, let rule): "\(table) \(key): \(what) [\(rule.rawValue)]"
        case .unrepresentable(let table, let key, let what): "\(table) \(key): cannot be stored: \(what)"
        case .alreadySealed(let number): "generation \(number) is sealed"
        case .closed(let number): "generation \(number) was closed by an earlier failure"
        case .verificationFailed(let path, let what): "\(path): does not read back as written: \(what)"
        case .unknownView(let name): "no view \(name)"
        case .queryRefused(let what): "query refused: \(what)"
        case .queryLimit(let what): "the query was ended at a limit: \(what)"
        case .sqlite(let code, let message): "SQLite \(code): \(message)"
        case .io(let operation, let path, let errno): "\(path): \(operation) failed: \(Self.text(errno))"
        }
    }

    private static func text(_ number: Int32) -> String { String(cString: strerror(number)) }
}
