// swift-format-ignore: AlwaysUseLowerCamelCase
/// The error numbers that iommufd, VFIO, LUO and the page-table code answer with, in Linux's numbering.
public enum Errno: Int32, Error, Sendable, Hashable, CaseIterable {
    case EPERM = 1
    case ENOENT = 2
    case EIO = 5
    case EBADF = 9
    case EAGAIN = 11
    case ENOMEM = 12
    case EFAULT = 14
    case EBUSY = 16
    case EEXIST = 17
    case ENODEV = 19
    case EINVAL = 22
    case ENOSPC = 28
    case ERANGE = 34
    case ENODATA = 61
    case EOVERFLOW = 75
    case EOPNOTSUPP = 95
    case EADDRINUSE = 98
    case EALREADY = 114

    /// The symbol, for example `EBUSY`.
    public var name: String { "\(self)" }

    /// The number behind `symbol`, or `nil` for an unknown one.
    public init?(symbol: some StringProtocol) {
        guard let found = Self.allCases.first(where: { $0.name == symbol }) else { return nil }
        self = found
    }
}
