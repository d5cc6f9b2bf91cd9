import Store

/// Why a seal's code could not be made, or does not vouch for the seal. Each case is one line as ``description``.
public enum SealCodeError: Error, Sendable, Hashable {
    /// A file could not be opened or read.
    case unreadable(path: String, errno: Int32)
    /// A file could not be written.
    case unwritable(path: String, errno: Int32)
    /// What was named as a key or read as a code is none.
    case notAKey(path: String, what: String)
    /// There is no code beside the generation.
    case missing(path: String)
    /// The file beside the generation is no code.
    case malformed(path: String, what: String)
    /// The code was made with another key.
    case otherKey(path: String, found: String, expected: String)
    /// The code is not that of what it says: it was altered.
    case forged(path: String)
    /// The code is good, and says something else of the generation.
    case differs(path: String, what: String)
    /// The generation has no seal.
    case unsealed(path: String)
    /// The generation has another seal than the one that was asked for.
    case otherSeal(path: String, found: ExpectedSeal, expected: ExpectedSeal)
    /// A hot journal stands beside the generation.
    case journal(path: String)
    /// There is a code, and none is written over another.
    case exists(path: String)
}

extension SealCodeError {
    /// What the code vouches for is not what is there; false for files that cannot be read or keys that are none.
    public var isRefusal: Bool {
        switch self {
        case .unreadable, .unwritable, .notAKey: false
        case .missing, .malformed, .otherKey, .forged, .differs, .unsealed, .otherSeal, .journal, .exists: true
        }
    }
}
