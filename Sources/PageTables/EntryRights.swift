import IOMMUModel

/// The rights of an entry in four bits, so that those of all levels are one AND.
///
/// A format that has no bit for a right grants it.
enum EntryRights {
    static let read: UInt8 = 1
    static let write: UInt8 = 2
    static let user: UInt8 = 4
    static let execute: UInt8 = 8
    static let all: UInt8 = 15

    /// What `access` of a device, which is a user's, needs.
    @inline(__always)
    static func needs(_ access: Access) -> UInt8 {
        switch access {
        case .read: read | user
        case .write: write | user
        case .execute: read | user | execute
        }
    }

    /// The fault of an access that lacks `missing`, which is not 0.
    static func fault(_ missing: UInt8) -> TranslationFault {
        if missing & user != 0 { return .permissionUser }
        if missing & read != 0 { return .permissionRead }
        return missing & write != 0 ? .permissionWrite : .permissionExec
    }

    /// Read and write as the entries say it, whoever asks.
    @inline(__always)
    static func protection(_ rights: UInt8) -> Protection { Protection(rawValue: rights & 3) }

    /// Read and write as a device gets it: none where a level is a supervisor's.
    @inline(__always)
    static func deviceProtection(_ rights: UInt8) -> UInt8 { rights & user == 0 ? 0 : rights & 3 }
}
