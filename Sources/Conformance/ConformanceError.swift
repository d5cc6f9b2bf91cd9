/// Why a file is not a file of vectors.
public enum ConformanceError: Error, Sendable, Hashable, CustomStringConvertible {
    case cannotRead(path: String, errno: Int32)
    case symbolicLink(path: String)
    case notARegularFile(path: String)
    case tooLarge(path: String, bytes: Int, limit: Int)
    case notVectors(path: String, what: String)

    public var description: String {
        switch self {
        case .cannotRead(let path, let errno): "\(path): cannot read: errno \(errno)"
        case .symbolicLink(let path): "\(path): a symbolic link, expected a regular file"
        case .notARegularFile(let path): "\(path): not a regular file"
        case .tooLarge(let path, let bytes, let limit): "\(path): \(bytes) bytes, expected at most \(limit)"
        case .notVectors(let path, let what): "\(path): not a vector file: \(what)"
        }
    }
}
