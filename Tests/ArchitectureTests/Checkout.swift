import Glibc

/// The files of the checkout that these tests run from.
enum Checkout {
    /// The path of the package's root folder, without a slash at its end.
    static let root: String = {
        let parts = #filePath.split(separator: "/")
        return "/" + parts.dropLast(3).joined(separator: "/")
    }()

    /// The names in `folder` (relative to the root), sorted; empty when there is no such folder.
    static func names(in folder: String) -> [String] {
        guard let stream = opendir(root + "/" + folder) else { return [] }
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

    /// Every regular file below `folder`, relative to the root; the folders `skipping` names are left out.
    static func files(below folder: String, skipping: Set<String> = []) -> [String] {
        var result: [String] = []
        for name in names(in: folder) where !skipping.contains(name) {
            let path = folder.isEmpty ? name : folder + "/" + name
            switch kind(of: path) {
            case S_IFDIR: result += files(below: path, skipping: skipping)
            case S_IFREG: result.append(path)
            default: break
            }
        }
        return result
    }

    static func bytes(of path: String) -> [UInt8] {
        let descriptor = open(root + "/" + path, O_RDONLY)
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

    static func text(of path: String) -> String { String(decoding: bytes(of: path), as: UTF8.self) }

    private static func kind(of path: String) -> mode_t {
        var status = stat()
        guard lstat(root + "/" + path, &status) == 0 else { return 0 }
        return status.st_mode & S_IFMT
    }
}
