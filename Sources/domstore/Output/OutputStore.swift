import Evidence
import Glibc
import Snapshot
import Store

/// Where a verb writes one generation: a new file, or the next one of a directory.
struct OutputStore {
    /// The file that will be written.
    let path: String
    let number: UInt64
    private let replaces: Bool

    /// Looks at what stands at `path`, before any work is done.
    init(path: String, force: Bool) throws(Failure) {
        var status = stat()
        guard lstat(path, &status) == 0 else {
            guard errno == ENOENT else {
                throw Failure(.inputOutput, "\(path): \(systemMessage(errno)); expected a path to write to")
            }
            (self.path, number, replaces) = (path, 1, false)
            return
        }
        switch status.st_mode & S_IFMT {
        case S_IFDIR:
            do throws(StoreError) {
                let location = try StoreLocation(path)
                number = try location.nextNumber()
                self.path = location.path(of: number)
            } catch {
                throw Failure(error, about: path)
            }
            replaces = false
        case S_IFREG:
            guard force else { throw Failure(.alreadyExists(path: path), about: path) }
            (self.path, number, replaces) = (path, 1, true)
        default: throw Failure(.inputOutput, "\(path): found neither a file nor a directory; expected one of them")
        }
    }

    /// Writes `snapshot` whole or not at all; what stood there is replaced in one step. With a key its code is there
    /// before it.
    func write(_ snapshot: Snapshot, key: SealKey?) throws(Failure) -> SealReceipt {
        do throws(StoreError) {
            return try FreshGeneration.write(snapshot, number: number, to: path, replacing: replaces) {
                (whole) throws(StoreError) in
                if let key { try SealCode.write(of: whole, named: path, key: key) }
            }
        } catch {
            if case .cannotOpen(_, let number) = error {
                throw Failure(.inputOutput, "\(path): \(systemMessage(number)); expected a place to write to")
            }
            throw Failure(error, about: path)
        }
    }
}
