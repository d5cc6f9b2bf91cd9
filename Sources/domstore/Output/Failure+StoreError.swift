import Glibc
import IOMMUModel
import Store

extension Failure {
    /// What a store's error means on the command line; `path` is the file where the error names none.
    init(_ error: StoreError, about path: String) {
        self.init(Self.status(of: error), Self.message(error, path))
    }

    private static func status(of error: StoreError) -> ExitStatus {
        switch error {
        case .cannotOpen(_, let number): number == ELOOP ? .badInput : .inputOutput
        case .io, .alreadyExists, .heldByEngine, .heldHere, .closed, .verificationFailed: .inputOutput
        case .sqlite(let code, _):
            // SQLITE_NOMEM, SQLITE_IOERR, SQLITE_FULL, SQLITE_CANTOPEN
            [7, 10, 13, 14].contains(code & 0xff) ? .inputOutput : .badInput
        default: .badInput
        }
    }

    private static func message(_ error: StoreError, _ path: String) -> String {
        switch error {
        case .cannotOpen(let path, let number):
            "\(path): \(systemMessage(number)); expected a generation file or a directory of them"
        case .notARegularFile(let path): "\(path): found no regular file; expected a generation file"
        case .symbolicLink(let path): "\(path): found a symbolic link; expected the file or directory itself"
        case .notOurs(let id):
            "\(path): found application id \(hex(UInt64(id), digits: 8)); expected 0x646d7374, a domstore generation"
        case .tooNew(let found, let supported):
            "\(path): found format version \(found); expected at most \(supported): it needs a newer domstore"
        case .headerDamaged(let offset, let what):
            "\(path): offset \(offset): \(what); expected the header of a generation"
        case .schemaDiffers(let name): "\(path): found another schema (\(name)); expected that of its format version"
        case .emptyDirectory(let path): "\(path): found no generation; expected N\(StoreLocation.fileEnding) files"
        case .noSealedGeneration(let path): "\(path): found no sealed generation; expected one"
        case .alreadyExists(let path): "\(path): found a file; expected none, or --force to replace it"
        case .tooLarge, .journalDamaged, .heldByEngine, .heldHere, .noSuchGeneration, .verificationFailed, .io:
            error.description
        case .tooOld, .unknownFeature, .recordDamaged, .unrepresentable, .alreadySealed, .closed, .unknownView,
            .queryRefused, .queryLimit, .sqlite:
            "\(path): \(error)"
        }
    }
}
