import Glibc

extension SealCodeError: CustomStringConvertible {
    /// One line; it names the file.
    public var description: String {
        switch self {
        case .unreadable(let path, let errno): "\(path): \(String(cString: strerror(errno))); expected to read it"
        case .unwritable(let path, let errno): "\(path): \(String(cString: strerror(errno))); expected to write it"
        case .notAKey(let path, let what): "\(path): found \(what)"
        case .missing(let path):
            "\(path): found no code of the seal; expected one, since a key was given: its maker died before it, or it was "
                + "removed. 'verify-seal --make-code' makes one of a seal that is known to be good"
        case .malformed(let path, let what): "\(path): \(what); expected the code of a seal"
        case .otherKey(let path, let found, let expected):
            "\(path): found a code by key \(found); the key given is \(expected)"
        case .forged(let path): "\(path): the code is not that of its text: it was altered, or made without the key"
        case .differs(let path, let what): "\(path): the code vouches for another generation: \(what)"
        case .otherSeal(let path, let found, let expected): "\(path): found seal \(found); expected \(expected)"
        case .journal(let path): "\(path): found a hot journal beside it; expected the file by itself"
        case .exists(let path): "\(path): found a code; expected none: no code is written over another"
        case .unsealed(let path): "\(path): found no seal; expected a sealed generation"
        }
    }
}
