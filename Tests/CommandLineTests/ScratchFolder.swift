import Foundation

/// A folder of a test's own, gone with it.
final class ScratchFolder: Sendable {
    let path: String

    /// - Parameter parent: `/dev/shm` for what would spend its time waiting for the disk.
    init(in parent: String = "/tmp") throws {
        var template = Array("\(parent)/domstore-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw Binary.Problem(call: "mkdtemp") }
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    /// The path of a file in the folder; it need not exist.
    subscript(name: String) -> String { path + "/" + name }

    /// The names of the files in it, sorted.
    var names: [String] {
        guard let stream = opendir(path) else { return [] }
        defer { closedir(stream) }
        var result: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { bytes in
                String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
            }
            if name != ".", name != ".." { result.append(name) }
        }
        return result.sorted()
    }

    /// Writes a file into the folder.
    func write(_ bytes: some Collection<UInt8>, to name: String) throws {
        let descriptor = open(self[name], O_WRONLY | O_CREAT | O_TRUNC | Int32(O_CLOEXEC), 0o644)
        guard descriptor >= 0 else { throw Binary.Problem(call: "open") }
        defer { close(descriptor) }
        let bytes = Array(bytes)
        guard Foundation.write(descriptor, bytes, bytes.count) == bytes.count else {
            throw Binary.Problem(call: "write")
        }
    }

    /// The bytes of a file in the folder.
    func bytes(of name: String) throws -> [UInt8] { try Self.bytes(at: self[name]) }

    static func bytes(at path: String) throws -> [UInt8] {
        let descriptor = open(path, O_RDONLY | Int32(O_CLOEXEC))
        guard descriptor >= 0 else { throw Binary.Problem(call: "open \(path)") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: Int(lseek(descriptor, 0, SEEK_END)))
        guard pread(descriptor, &bytes, bytes.count, 0) == bytes.count else { throw Binary.Problem(call: "pread") }
        return bytes
    }
}
