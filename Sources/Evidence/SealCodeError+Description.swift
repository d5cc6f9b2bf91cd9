import Glibc

extension SealCodeError: CustomStringConvertible {
    /// One line; it names the file.
    public var description: String {
        switch self {
        case .unreadable(let path, let errno): "\(path): \(String(cString: strerror(errno))); expected to read it"
        case .unwritable(let path, let errno): "\(path): \(String(cString: strerror(errno))); expected to write it"
        case .notAKey(let path, let what): "\(path): found \(what)"
        case .missing(let path): "\(path): found no code of the seal; expected one, since a key was given"
        case .malformed(let path, let what): "\(path): \(what); expected the code of a seal"
        case .otherKey(let path, let found, let expected):
            "\(path): found a code by key \(found); the key given is \(expected)"
        case .forged(let path): "\(path): the code is not that of its text: it was altered, or made without the key"
        case .differs(let path, let what): "\(path): the code vouches for another generation: \(what)"
        case .unsealed(let path): "\(path): found no seal; expected a sealed generation"
        }
    }
}
