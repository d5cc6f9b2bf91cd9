import Foundation

@testable import Store

/// Sees every call below SQLite, and of the store itself, that goes to the files of one directory: writes it down, and lets
/// it fail when that is asked for.
///
/// For one thread at a time, which nothing but the tests' own care sees to: an observer is a task-local value, and those are
/// Sendable.
final class CallRecorder: FileCallObserver, @unchecked Sendable {
    let directory: String
    private(set) var calls: [DiskCall] = []
    /// Files that SQLite has open, by inode.
    var openFiles: [Int] = []
    /// What `PRAGMA name = …` of a connection is made to say instead.
    let pragmas: [String: String]

    private var names: [String: Int] = [:]
    private var inodes = 0
    private let fault: Fault?
    private var hasBegun = false
    /// Calls since the operation began that a fault of each kind could have hit.
    private(set) var callCount = 0
    private(set) var roomCallCount = 0
    /// Kinds of the calls that failed.
    private(set) var failed: [CallKind] = []
    private(set) var successes = 0

    init(_ folder: Folder, pragmas: [String: String] = [:], fault: Fault? = nil) {
        directory = folder.path
        self.pragmas = pragmas
        self.fault = fault
    }

    /// Runs `body` while everything in the directory is recorded.
    func record(_ body: () throws -> Void) rethrows {
        RecordingVFS.install()
        RecordingVFS.recorders.withLock { $0[directory] = self }
        defer { RecordingVFS.recorders.withLock { $0[directory] = nil } }
        try FileCall.$observer.withValue(self, operation: body)
    }

    /// Takes the files that the directory holds already for durable.
    func adopt(_ state: DiskState) {
        for (name, file) in state.files.sorted(by: { $0.key < $1.key }) {
            let number = inode(name).number
            calls.append(.write(inode: number, offset: 0, bytes: file.bytes))
            calls.append(.setMode(inode: number, mode: file.mode))
            calls.append(.sync(inode: number))
        }
        calls.append(.syncDirectory)
    }

    /// What was prepared is there; from here on counts.
    func begin() {
        hasBegun = true
        calls.append(.begin)
    }

    /// A step has told its caller that it succeeded.
    func success() {
        successes += 1
        calls.append(.success)
    }

    func add(_ call: DiskCall) { calls.append(call) }

    /// True when this call is one that fails; then it must not be made.
    func fails(_ kind: CallKind) -> Bool {
        guard hasBegun else { return false }
        callCount += 1
        if kind.needsRoom { roomCallCount += 1 }
        guard let fault else { return false }
        if fault.error == ENOSPC, !kind.needsRoom { return false }
        guard fault.hits(fault.error == ENOSPC ? roomCallCount : callCount) else { return false }
        failed.append(kind)
        return true
    }

    /// The code for a call that fails.
    func code(_ kind: CallKind) -> Int32 { kind.code(fault?.error ?? EIO) }

    /// The name of `path` in the directory; `nil` for a path elsewhere.
    func name(_ path: String) -> String? {
        guard path.hasPrefix(directory + "/") else { return nil }
        return String(path.dropFirst(directory.count + 1))
    }

    /// The inode of `name`, made when there is none.
    func inode(_ name: String) -> (number: Int, isNew: Bool) {
        if let known = names[name] { return (known, false) }
        names[name] = inodes
        calls.append(.create(name: name, inode: inodes))
        inodes += 1
        return (inodes - 1, true)
    }

    func unlinked(_ name: String) {
        guard names.removeValue(forKey: name) != nil else { return }
        calls.append(.unlink(name: name))
    }

    func before(_ call: FileCall) -> Int32 {
        switch call {
        case .create(let path):
            guard let name = name(path) else { return 0 }
            if fails(.create) { return fault?.error ?? EIO }
            _ = inode(name)
        case .write(let path, let bytes):
            guard let name = name(path), let inode = names[name] else { return 0 }
            if fails(.write) { return fault?.error ?? EIO }
            calls.append(.write(inode: inode, offset: 0, bytes: bytes))
        case .sync(directory):
            if fails(.sync) { return EIO }
            calls.append(.syncDirectory)
        case .sync(let path):
            guard let name = name(path), let inode = names[name] else { return 0 }
            let isFailure = fails(.sync)
            calls.append(isFailure ? .failedSync(inode: inode) : .sync(inode: inode))
            if isFailure { return EIO }
        case .setMode(let path, let mode):
            guard let name = name(path), let inode = names[name] else { return 0 }
            if fails(.setMode) { return EIO }
            calls.append(.setMode(inode: inode, mode: mode))
        case .unlink(let path):
            guard let name = name(path) else { return 0 }
            if fails(.delete) { return EIO }
            unlinked(name)
        case .link(let from, let to):
            guard let from = name(from), let to = name(to), let inode = names[from] else { return 0 }
            if fails(.name) { return fault?.error ?? EIO }
            names[to] = inode
            calls.append(.link(name: to, inode: inode))
        case .rename(let from, let to):
            guard let from = name(from), let to = name(to), let inode = names.removeValue(forKey: from) else {
                return 0
            }
            if fails(.name) {
                names[from] = inode
                return fault?.error ?? EIO
            }
            names[to] = inode
            calls.append(.rename(from: from, to: to, inode: inode))
        }
        return 0
    }
}
