import Glibc
import IOMMUModel
import PageTables

/// Why an image, its meta file or a file of areas cannot be used. One line each.
public enum ImportError: Error, Sendable, Hashable {
    /// `open` failed with this error number.
    case cannotOpen(path: String, errno: Int32)
    /// The last part of the path is a symbolic link, which is not followed.
    case symbolicLink(path: String)
    /// A directory, a device or a pipe.
    case notARegularFile(path: String)
    /// More bytes than a file of its kind may have.
    case tooLarge(path: String, bytes: UInt64, limit: UInt64)
    /// Another system call failed with this error number.
    case io(operation: String, path: String, errno: Int32)
    /// The first four bytes are not an ELF file's.
    case notELF(path: String)
    /// A field of an ELF file; `offset` is that of the field in the file.
    case elf(path: String, offset: UInt64, what: String, found: String, expected: String)
    /// A raw image that cannot lie at that address.
    case rawBase(path: String, base: PhysicalAddress, bytes: UInt64)
    /// The image cannot be mapped, or its segments do not fit together.
    case memory(path: String, MemoryError)
    /// A value of a meta file; `place` is its path, for example `pci_functions[3].bdf`.
    case metadata(path: String, place: String, found: String, expected: String)
    /// Units are told apart by the addresses of their registers.
    case registerBase(path: String, unit: Int, what: String)
    /// A register that the unit's tables cannot be found without; `unit` counts from 0.
    case missingRegister(path: String, unit: Int, name: String)
    /// The root register of a unit points to a page that the image does not hold.
    case rootOutsideMemory(path: String, unit: Int, register: String, value: UInt64, page: PhysicalAddress)
    /// Recognised, but this version does not read it.
    case notBuilt(path: String, what: String)
    /// The meta file has no damage of that name; `known` are those it has.
    case noSuchDamage(name: String, known: [String])
    /// A patch whose old value is not there; `found` is `nil` when the image does not hold the word.
    case patchDiffers(name: String, address: PhysicalAddress, found: UInt64?, expected: UInt64)
    /// A line, from 1, of a file of areas.
    case areaFile(path: String, line: Int, what: String)
}

extension ImportError: CustomStringConvertible {
    /// One line; it names the file, but for damages.
    public var description: String {
        switch self {
        case .cannotOpen(let path, let errno): "\(path): cannot open: \(text(errno))"
        case .symbolicLink(let path): "\(path): found a symbolic link, expected a regular file"
        case .notARegularFile(let path): "\(path): not a regular file"
        case .tooLarge(let path, let bytes, let limit): "\(path): found \(bytes) bytes, expected at most \(limit)"
        case .io(let operation, let path, let errno): "\(path): \(operation): \(text(errno))"
        case .notELF(let path): "\(path): not an ELF file (a raw image needs its base address)"
        case .elf(let path, let offset, let what, let found, let expected):
            "\(path): offset \(hex(offset, digits: 1)): \(what): found \(found), expected \(expected)"
        case .rawBase(let path, let base, let bytes):
            "\(path): \(bytes) bytes cannot lie at \(base): expected a 4 KiB aligned base and an end below 2^64"
        case .memory(let path, let error): "\(path): \(error)"
        case .metadata(let path, let place, let found, let expected):
            "\(path): \(place): found \(found), expected \(expected)"
        case .registerBase(let path, let unit, let what): "\(path): unit \(unit): \(what)"
        case .missingRegister(let path, let unit, let name): "\(path): unit \(unit): register \(name) is missing"
        case .rootOutsideMemory(let path, let unit, let register, let value, let page):
            "\(path): unit \(unit): \(register) = \(hex(value)): page \(page) is not in the image"
        case .notBuilt(let path, let what): "\(path): \(what) is not built yet"
        case .noSuchDamage(let name, let known):
            "no damage \"\(name)\", the meta file knows \(known.isEmpty ? "none" : known.joined(separator: ", "))"
        case .patchDiffers(let name, let address, let found, let expected):
            "damage \"\(name)\": \(address): found \(found.map { hex($0) } ?? "no such word"), expected \(hex(expected))"
        case .areaFile(let path, let line, let what): "\(path): line \(line): \(what)"
        }
    }

    /// True when the system refused (a missing file included), false when the input is not what it must be.
    public var isInputOutput: Bool {
        switch self {
        case .cannotOpen, .io: true
        case .memory(_, .system): true
        default: false
        }
    }

    private func text(_ errno: Int32) -> String { String(cString: strerror(errno)) }
}
