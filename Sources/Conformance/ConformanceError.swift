/// Why a file is not a file of vectors.
public enum ConformanceError: Error, Sendable, Hashable, CustomStringConvertible {
    /// `open`, `fstat` or `read` failed with this error number.
    case cannotRead(path: String, errno: Int32)
    /// The last part of the path is a symbolic link, which is not followed.
    case symbolicLink(path: String)
    /// A directory, a device or a pipe.
    case notARegularFile(path: String)
    /// More bytes than a file of vectors may have.
    case tooLarge(path: String, bytes: Int, limit: Int)
    /// No JSON, another schema, or a format that is not known.
    case notVectors(path: String, what: String)

    /// One line that begins with the path.
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
