import Glibc

/// A simulated medium: what was written, and what of it a power cut may leave.
///
/// Between two syncs of a file each of its 512-byte sectors reaches the medium in any of its versions or not at all, in any
/// order, and so does its size. A sector that was never written holds zeros or garbage. Names reach the medium with a sync
/// of the directory; until then any of their changes may be lost, each as a whole. A write changes no sector that it does
/// not touch.
struct Medium {
    static let sectorBytes = 512

    struct File {
        var now: [UInt8] = []
        var mode: mode_t = 0o644
        /// As of the last sync, and what a sync that failed had kept.
        var durable: [UInt8] = []
        var durableMode: mode_t = 0o644
        /// Every version of each sector that was written since.
        var sectors: [Int: [[UInt8]]] = [:]
        /// Every size since.
        var sizes: [Int] = []
    }

    /// How much of what was not synced is kept; each from 0, nothing, to 1, everything.
    struct Cut {
        var data: Double
        var names: Double

        static let nothing = Cut(data: 0, names: 0)
        static let everything = Cut(data: 1, names: 1)
        /// What a random cut draws from: nearly everything and nearly nothing are where an order of writes shows.
        static let shares = [0, 0.02, 0.5, 0.9, 0.98, 0.995, 1]
    }

    private(set) var files: [File] = []
    private var names: [String: Int] = [:]
    private var durableNames: [String: Int] = [:]
    private var changes: [[(name: String, inode: Int?)]] = []
    /// After a failed sync its data is lost, unless it is written again.
    var losesFailedSyncs = true

    mutating func apply(_ call: DiskCall) {
        switch call {
        case .create(let name, let inode):
            while files.count <= inode { files.append(File()) }
            change([(name, inode)])
        case .write(let inode, let offset, let bytes): write(bytes[...], at: offset, to: inode)
        case .truncate(let inode, let count):
            resize(inode, to: count)
            files[inode].sizes.append(count)
        case .sync(let inode): sync(inode)
        case .failedSync(let inode):
            guard losesFailedSyncs else { return }
            files[inode].sectors.removeAll(keepingCapacity: true)
        case .syncDirectory:
            durableNames = names
            changes.removeAll()
        case .unlink(let name): change([(name, nil)])
        case .link(let name, let inode): change([(name, inode)])
        case .rename(let from, let to, let inode): change([(from, nil), (to, inode)])
        case .setMode(let inode, let mode): files[inode].mode = mode
        case .begin, .success: break
        }
    }

    /// Everything that was asked for so far: what the death of a process leaves.
    var whole: DiskState {
        var state = DiskState()
        for (name, inode) in names { state.files[name] = .init(bytes: files[inode].now, mode: files[inode].mode) }
        return state
    }

    /// ``whole`` with the first `count` bytes of a write that was cut off.
    func whole(withFirst count: Int, of bytes: [UInt8], at offset: Int, inode: Int) -> DiskState {
        var state = whole
        for (name, number) in names where number == inode {
            let missing = offset + count - state.files[name]!.bytes.count
            if missing > 0 { state.files[name]!.bytes.append(contentsOf: repeatElement(0, count: missing)) }
            state.files[name]!.bytes.replaceSubrange(offset..<offset + count, with: bytes[..<count])
        }
        return state
    }

    /// What a power cut leaves.
    func cut(_ cut: Cut, using random: inout SplitMix64) -> DiskState {
        var surviving = durableNames
        for change in changes where random.chance(cut.names) {
            for (name, inode) in change { surviving[name] = inode }
        }
        var state = DiskState()
        // In one order, so that a seed means the same cut again.
        for (name, inode) in surviving.sorted(by: { $0.key < $1.key }) {
            state.files[name] = file(files[inode], cut.data, &random)
        }
        return state
    }

    private func file(_ file: File, _ share: Double, _ random: inout SplitMix64) -> DiskState.File {
        let mode = file.mode == file.durableMode || random.chance(share) ? file.mode : file.durableMode
        var count = file.durable.count
        if let last = file.sizes.last, random.chance(share) {
            count = random.chance(0.9) ? last : file.sizes[random.below(file.sizes.count)]
        }
        var bytes = file.durable
        let known = bytes.count
        if count <= known {
            bytes.removeLast(known - count)
        } else {
            let filler = random.chance(0.5) ? 0 : UInt8(truncatingIfNeeded: random.next())
            bytes += [UInt8](repeating: filler, count: count - known)
        }
        for (sector, versions) in file.sectors.sorted(by: { $0.key < $1.key }) {
            guard random.chance(share) else { continue }
            let version = random.chance(0.9) ? versions[versions.count - 1] : versions[random.below(versions.count)]
            let start = sector * Self.sectorBytes
            guard start < bytes.count else { continue }
            let end = min(start + version.count, bytes.count)
            Self.put(version[..<(end - start)], into: &bytes, at: start)
        }
        return .init(bytes: bytes, mode: mode)
    }

    /// Puts `bytes` over those that are there; in one piece, for debug builds replace a range byte by byte.
    private static func put(_ bytes: ArraySlice<UInt8>, into array: inout [UInt8], at offset: Int) {
        precondition(offset + bytes.count <= array.count)
        array.withUnsafeMutableBytes { to in
            bytes.withUnsafeBytes { from in
                guard let to = to.baseAddress, let start = from.baseAddress else { return }
                memcpy(to + offset, start, from.count)
            }
        }
    }

    private mutating func change(_ change: [(name: String, inode: Int?)]) {
        changes.append(change)
        for (name, inode) in change { names[name] = inode }
    }

    private mutating func resize(_ inode: Int, to count: Int) {
        let now = files[inode].now.count
        if count <= now {
            files[inode].now.removeLast(now - count)
        } else {
            files[inode].now += [UInt8](repeating: 0, count: count - now)
        }
    }

    private mutating func write(_ bytes: ArraySlice<UInt8>, at offset: Int, to inode: Int) {
        guard !bytes.isEmpty else { return }
        let end = offset + bytes.count
        if end > files[inode].now.count {
            resize(inode, to: end)
            files[inode].sizes.append(end)
        }
        Self.put(bytes, into: &files[inode].now, at: offset)
        for sector in offset / Self.sectorBytes...(end - 1) / Self.sectorBytes {
            let start = sector * Self.sectorBytes
            let version = Array(files[inode].now[start..<min(start + Self.sectorBytes, files[inode].now.count)])
            files[inode].sectors[sector, default: []].append(version)
        }
    }

    private mutating func sync(_ inode: Int) {
        let count = files[inode].now.count
        if files[inode].durable.count > count {
            files[inode].durable.removeLast(files[inode].durable.count - count)
        } else {
            files[inode].durable += [UInt8](repeating: 0, count: count - files[inode].durable.count)
        }
        for (sector, versions) in files[inode].sectors {
            let start = sector * Self.sectorBytes
            guard start < count, let version = versions.last else { continue }
            let end = min(start + version.count, count)
            Self.put(version[..<(end - start)], into: &files[inode].durable, at: start)
        }
        files[inode].durableMode = files[inode].mode
        files[inode].sectors.removeAll(keepingCapacity: true)
        files[inode].sizes.removeAll()
    }
}
