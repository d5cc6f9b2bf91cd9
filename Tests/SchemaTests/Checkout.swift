import Glibc

/// The files of the checkout that these tests run from, and a folder to work in.
enum Checkout {
    /// The path of the package's root folder, without a slash at its end.
    static let root: String = {
        let parts = #filePath.split(separator: "/")
        return "/" + parts.dropLast(3).joined(separator: "/")
    }()

    /// The text of a file; empty when it cannot be read.
    static func text(of path: String) -> String { String(decoding: bytes(at: root + "/" + path), as: UTF8.self) }

    static func bytes(at path: String) -> [UInt8] {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: Int(status.st_size)) { buffer, count in
            while count < buffer.count {
                let got = read(descriptor, buffer.baseAddress! + count, buffer.count - count)
                if got <= 0 { break }
                count += got
            }
        }
    }
}

/// A folder of its own for one test. What the test named in it is removed with it.
final class ScratchFolder {
    let path: String
    private var names: [String] = []

    init() {
        var template = Array("/tmp/domstore-schema-XXXXXX".utf8CString)
        path = mkdtemp(&template).map { String(cString: $0) } ?? ""
        precondition(!path.isEmpty, "no temporary folder")
    }

    deinit {
        for name in names {
            unlink(path + "/" + name)
            unlink(path + "/" + name + "-journal")
        }
        rmdir(path)
    }

    subscript(_ name: String) -> String {
        names.append(name)
        return path + "/" + name
    }
}
