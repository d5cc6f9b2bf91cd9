import Digest
import Foundation

/// What a directory holds at one moment: the files by name.
struct DiskState {
    struct File {
        var bytes: [UInt8]
        var mode: mode_t
    }

    var files: [String: File] = [:]

    init() {}

    /// What `folder` holds.
    init(_ folder: Folder) throws {
        for name in folder.names {
            var status = stat()
            guard lstat(folder[name], &status) == 0 else { throw CrashProblem(what: "lstat \(name): \(errno)") }
            files[name] = File(
                bytes: [UInt8](try Data(contentsOf: URL(filePath: folder[name]))), mode: status.st_mode & 0o777)
        }
    }

    /// The same for equal states.
    var digest: UInt64 {
        files.reduce(0) { sum, file in
            let content = file.value.bytes.withUnsafeBytes { XXH64.hash($0, seed: UInt64(file.value.mode)) }
            let name = Array(file.key.utf8).withUnsafeBytes { XXH64.hash($0, seed: content) }
            return sum &+ name
        }
    }

    /// Some file's rollback journal would be rolled back.
    var hasHotJournal: Bool {
        files.contains { $0.key.hasSuffix("-journal") && $0.value.bytes.prefix(8).contains { $0 != 0 } }
    }

    /// Makes `folder`, whatever it holds, hold exactly this.
    func write(to folder: Folder) throws {
        for name in folder.names where files[name] == nil { unlink(folder[name]) }
        for (name, file) in files {
            unlink(folder[name])
            let descriptor = open(folder[name], O_WRONLY | O_CREAT | O_EXCL | Int32(O_CLOEXEC), 0o600)
            guard descriptor >= 0 else { throw CrashProblem(what: "open \(name): \(errno)") }
            defer { close(descriptor) }
            let count = file.bytes.withUnsafeBytes { Foundation.write(descriptor, $0.baseAddress, $0.count) }
            guard count == file.bytes.count, fchmod(descriptor, file.mode) == 0 else {
                throw CrashProblem(what: "write \(name): \(errno)")
            }
        }
    }
}

/// What went wrong in the suite itself, or with what it looks at.
struct CrashProblem: Error, CustomStringConvertible {
    var what: String
    var description: String { what }
}
