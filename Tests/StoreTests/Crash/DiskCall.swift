import Glibc

/// One change to a directory or a file in it, in the order in which it was asked for. Files are told by inode: names come
/// and go.
enum DiskCall {
    case create(name: String, inode: Int)
    case write(inode: Int, offset: Int, bytes: [UInt8])
    case truncate(inode: Int, count: Int)
    case sync(inode: Int)
    /// A sync that answered with an error: what it was to write may be lost, and a later sync does not write it.
    case failedSync(inode: Int)
    case syncDirectory
    case unlink(name: String)
    case link(name: String, inode: Int)
    case rename(from: String, to: String, inode: Int)
    case setMode(inode: Int, mode: mode_t)
    /// From here on the operation itself is on its way.
    case begin
    /// The step that ran told its caller that it has succeeded.
    case success

    /// Without what it carries.
    var name: String { String("\(self)".prefix { $0.isLetter }) }
}
