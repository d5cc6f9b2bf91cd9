/// Reads a trace of system calls and holds every word to standard output, and the end of the process, against what it may
/// promise: nothing of the store waits for a sync.
struct SyncOrder {
    /// The calls that a trace must have.
    static let calls = [
        "openat", "write", "pwrite64", "ftruncate", "fdatasync", "fsync", "fchmod", "unlink", "rename", "link", "mkdir",
        "exit_group",
    ]

    private let folder: String
    private var unsyncedFiles: [String: String] = [:]
    private var unsyncedFolders: [String: String] = [:]
    private var known: Set<String> = []
    /// Writes, changes of names, syncs, words to standard output.
    private(set) var writes = 0
    private(set) var names = 0
    private(set) var syncs = 0
    private(set) var told = 0
    /// What was not durable when something was told.
    private(set) var complaints: [String] = []
    /// Syncs by number that do the same: those of one directory between two words, at least one of which had something to
    /// make durable. Without all of a group something is told too early.
    private(set) var folderGroups: [Set<Int>] = []
    /// As ``folderGroups``, of generation files.
    private(set) var fileGroups: [Set<Int>] = []
    private var groups: [String: Group] = [:]

    private struct Group {
        var syncs: Set<Int> = []
        var isFolder: Bool
        var hadSomething = false
    }

    /// - Parameter folder: what lies below it counts; it was there before.
    init(_ trace: [Substring], below folder: String, dropping dropped: Set<Int> = []) {
        self.folder = folder
        for line in trace { read(line, dropping: dropped) }
    }

    private mutating func read(_ line: Substring, dropping dropped: Set<Int>) {
        guard let open = line.firstIndex(of: "("), !line.contains(" = -1 ") else { return }
        let name = line[..<open].split(separator: " ").last ?? ""
        let arguments = line[line.index(after: open)...]
        switch name {
        case "write" where arguments.hasPrefix("1<"): tell(line)
        case "exit_group": tell(line)
        case "write", "pwrite64", "ftruncate", "fchmod":
            guard let path = Self.descriptor(arguments), path.hasPrefix(folder) else { return }
            writes += 1
            unsyncedFiles[path] = String(line)
        case "fdatasync", "fsync":
            guard let path = Self.descriptor(arguments), path.hasPrefix(folder) else { return }
            syncs += 1
            // A journal's syncs are for the order of writes: what they are good for no word shows, but a power cut does.
            if !path.hasSuffix("-journal") {
                var group = groups[path] ?? Group(isFolder: !path.contains(".domstore"))
                group.syncs.insert(syncs)
                if unsyncedFiles[path] != nil || unsyncedFolders[path] != nil { group.hadSomething = true }
                groups[path] = group
            }
            if dropped.contains(syncs) { return }
            unsyncedFiles[path] = nil
            unsyncedFolders[path] = nil
        case "openat":
            guard arguments.contains("O_CREAT"), let path = Self.quoted(arguments).first else { return }
            if known.insert(path).inserted { change(path, line) }
        case "unlink", "mkdir":
            guard let path = Self.quoted(arguments).first else { return }
            unsyncedFiles[path] = nil
            known.remove(path)
            change(path, line)
        case "rename", "link":
            let paths = Self.quoted(arguments)
            guard paths.count == 2 else { return }
            // What waits for a sync waits under its new name too.
            unsyncedFiles[paths[1]] = unsyncedFiles[paths[0]]
            if name == "rename" { unsyncedFiles[paths[0]] = nil }
            for path in paths { change(path, line) }
        default: break
        }
    }

    private mutating func change(_ path: String, _ line: Substring) {
        guard path.hasPrefix(folder + "/"), let slash = path.lastIndex(of: "/") else { return }
        names += 1
        unsyncedFolders[String(path[..<slash])] = String(line)
    }

    private mutating func tell(_ line: Substring) {
        told += 1
        for (_, group) in groups.sorted(by: { $0.key < $1.key }) where group.hadSomething {
            if group.isFolder { folderGroups.append(group.syncs) } else { fileGroups.append(group.syncs) }
        }
        groups = [:]
        for (_, call) in unsyncedFiles.sorted(by: { $0.key < $1.key }) + unsyncedFolders.sorted(by: { $0.key < $1.key })
        {
            complaints.append("not synced when told (\(line.prefix(60))…): \(call)")
        }
    }

    /// The path of `5</path>`.
    private static func descriptor(_ arguments: Substring) -> String? {
        guard let begin = arguments.firstIndex(of: "<"), let end = arguments[begin...].firstIndex(of: ">"),
            arguments[..<begin].allSatisfy(\.isNumber)
        else { return nil }
        return String(arguments[arguments.index(after: begin)..<end])
    }

    private static func quoted(_ arguments: Substring) -> [String] {
        arguments.split(separator: "\"", omittingEmptySubsequences: false).enumerated()
            .filter { $0.offset % 2 == 1 }.map { String($0.element) }
    }
}
