import IOMMUModel
import PageTables

/// Checks the entries and walks of one page-table format.
///
/// An answer is compared in words; a detail that a vector does not tell is in neither text.
struct PageTableConformance {
    private let format: PageTableFormatKind

    init(_ format: PageTableFormatKind) { self.format = format }

    func run(_ vectors: PageTableVectors) -> ConformanceReport {
        var report = ConformanceReport()
        for vector in vectors.encode {
            if vector.opts?.fwb == true {
                report.skip()
                continue
            }
            report.compare(vector.id, expected: expected(vector), got: encode(vector))
        }
        for vector in vectors.decode {
            if !isBuilt(vector.cfg) {
                report.skip()
                continue
            }
            report.compare(vector.id, expected: expected(vector.result), got: decode(vector))
        }
        for walk in vectors.walks {
            if isBuilt(walk.cfg) { run(walk, into: &report) } else { report.skip(walk.queries.count) }
        }
        return report
    }

    /// False for what this version does not have: hardware update of Armv8's dirty state, several root tables side by side.
    private func isBuilt(_ given: PageTableVectors.Configuration) -> Bool {
        guard format == .armv8Stage2 else { return true }
        let reach = 12 + 9 * ((given.topLevel ?? 3) + 1)
        return given.hd != true && (given.vaBits ?? reach) <= reach
    }

    /// `nil` when no hardware has that shape.
    private func configuration(_ given: PageTableVectors.Configuration) -> PageTableConfiguration? {
        let top = given.topLevel ?? PageTableConfiguration.topLevels(of: format).upperBound
        let sizes = given.sslps ?? 3
        // AMD's tables reach what their levels do, however wide the domain is.
        let isAMD = format == .amdV1
        let widest = format == .armv8Stage2 ? 48 : 52
        return PageTableConfiguration(
            format: format, topLevel: top, addressBits: isAMD ? nil : given.vaBits,
            maximumAddressBits: isAMD ? given.vaBits : nil, hostAddressWidth: given.haw ?? given.oas ?? widest,
            supports2M: sizes & 1 != 0, supports1G: sizes & 2 != 0 && given.fl1gp ?? true,
            snoopControl: given.sc ?? true, deviceTLB: given.dt ?? false, noExecute: given.nxe ?? true,
            signExtended: given.signExtend ?? false, encryptionBit: given.cbit,
            rootProtection: given.rootPerms.map(protection) ?? .readWrite, accessFlagFaults: given.ha != true)
    }

    private func protection(_ rights: PageTableVectors.Rights) -> Protection {
        var result: Protection = []
        if rights.read { result.insert(.read) }
        if rights.write { result.insert(.write) }
        return result
    }

    // MARK: Encode

    private func expected(_ vector: PageTableVectors.Encode) -> String {
        if vector.kind == "refuse" { return "refused: \(vector.why ?? "-")" }
        return "\(vector.entry.map { hex($0.value) } ?? "-") in \(vector.items ?? 1)"
    }

    private func encode(_ vector: PageTableVectors.Encode) -> String {
        var given = PageTableVectors.Configuration()
        given.cbit = vector.opts?.cbit
        guard let configuration = configuration(given) else { return "no configuration" }
        do throws(EncodingRefusal) {
            if vector.kind == "table" {
                guard let pa = vector.pa else { return "no pa in the vector" }
                let word = try PageTableEntry.encodeTable(
                    PhysicalAddress(pa.value), level: vector.level, configuration: configuration)
                return "\(hex(word)) in 1"
            }
            guard let oa = vector.oa, let size = vector.pageLg2 else { return "no oa or page_lg2 in the vector" }
            let names = vector.prot ?? []
            var options: MapOptions = names.contains("mmio") ? .mmio : []
            let isCached = format == .armv8Stage2 && names.contains("cache")
            if vector.opts?.snp ?? vector.opts?.fc ?? isCached { options.insert(.snoop) }
            if names.contains("noexec") { options.insert(.noExecute) }
            let word = try PageTableEntry.encodeLeaf(
                PhysicalAddress(oa.value), pageSizeLog2: size, level: vector.level,
                protection: protection(.init(read: names.contains("read"), write: names.contains("write"))),
                options: options, configuration: configuration)
            return "\(hex(word)) in \(PageTableEntry.itemCount(pageSizeLog2: size, level: vector.level))"
        } catch {
            return "refused: \(error.rawValue)"
        }
    }

    // MARK: Decode

    private func expected(_ result: PageTableVectors.Decode.Result) -> String {
        var words = [result.type]
        switch result.type {
        case "leaf":
            words.append(
                "\(label((result.itemOa ?? result.oa)?.value)) size 2^\(label(result.pageLg2)) items 2^\(label(result.contigLg2))"
            )
            words.append(rights(result.perms))
            words += ["accessed \(result.accessed ?? false)", "dirty \(result.dirty ?? false)"]
            if tellsSnooping { words.append("snoop \(result.snp ?? result.fc ?? false)") }
        case "table":
            words.append("\(label(result.pa?.value)) next level \(label(result.nextLevel))")
            words += [rights(result.perms), "skips \(result.skippedLevels ?? [])"]
        default: words.append(result.fault ?? "-")
        }
        if let pat = result.pat { words.append("pat \(pat)") }
        words.append("encrypted \(result.encrypted ?? false)")
        if tellsIgnoredBits { words.append("ignored \(hex(result.ignoredBits?.value ?? 0, digits: 1))") }
        return (words + ["lint \(result.lint ?? [])"]).joined(separator: " ")
    }

    private func decode(_ vector: PageTableVectors.Decode) -> String {
        guard let configuration = configuration(vector.cfg),
            (0...PageTableConfiguration.topLevels(of: format).upperBound).contains(vector.level)
        else { return "no configuration" }
        let entry = PageTableEntry.decode(
            vector.entry.value, level: vector.level, index: vector.index, configuration: configuration)
        var words: [String] = []
        switch entry.kind {
        case .empty: words = ["empty", "-"]
        case .invalid(let fault): words = ["invalid", fault.rawValue]
        case .table(let address, let nextLevel):
            words = ["table", "\(hex(address.rawValue)) next level \(nextLevel)"]
            words += [rights(of: entry, as: vector.result.perms), "skips \(Array(entry.skippedLevels))"]
        case .leaf(let address, let size):
            let items = entry.itemCount.trailingZeroBitCount
            words = ["leaf", "\(hex(address.rawValue)) size 2^\(size) items 2^\(items)"]
            words.append(rights(of: entry, as: vector.result.perms))
            words += ["accessed \(entry.accessed)", "dirty \(entry.dirty)"]
            if tellsSnooping { words.append("snoop \(entry.snoop)") }
        }
        if vector.result.pat != nil { words.append("pat \(entry.pat)") }
        words.append("encrypted \(entry.isEncrypted)")
        if tellsIgnoredBits { words.append("ignored \(hex(entry.ignoredBits, digits: 1))") }
        return (words + ["lint \(entry.lints.names)"]).joined(separator: " ")
    }

    /// The vectors of AMD v1 tell of ignored bits as a lint, those of Armv8 not at all.
    private var tellsIgnoredBits: Bool { format != .amdV1 && format != .armv8Stage2 }

    /// The vectors of Armv8 say nothing of memory types when they decode.
    private var tellsSnooping: Bool { format != .armv8Stage2 }

    private func rights(_ rights: PageTableVectors.Rights?) -> String {
        guard let rights else { return "none given" }
        return label(protection(rights), user: rights.user, exec: rights.exec)
    }

    /// Users and execution are told where the vector does.
    private func rights(of entry: PageTableEntry, as told: PageTableVectors.Rights?) -> String {
        label(
            entry.protection, user: told?.user.map { _ in entry.isUser },
            exec: told?.exec.map { _ in entry.isExecutable })
    }

    private func label(_ protection: Protection, user: Bool?, exec: Bool?) -> String {
        protection.description + (user.map { " user \($0)" } ?? "") + (exec.map { " exec \($0)" } ?? "")
    }

    private func label(_ number: UInt64?) -> String { number.map { hex($0) } ?? "-" }
    private func label(_ number: Int?) -> String { number.map(String.init) ?? "-" }

    // MARK: Walks

    private func run(_ walk: PageTableVectors.Walk, into report: inout ConformanceReport) {
        for (position, query) in walk.queries.enumerated() {
            let id = "\(walk.id)[\(position)] \(query.access) \(hex(query.iova.value))"
            report.compare(id, expected: expected(query.result), got: answer(walk, query))
        }
    }

    private func expected(_ result: PageTableVectors.Walk.Query.Result) -> String {
        guard result.ok else { return "fault \(result.fault ?? "-") at level \(label(result.level))" }
        return translated(result.pa?.value, size: result.pageLg2, level: result.level, rights: rights(result.perms))
    }

    private func answer(_ walk: PageTableVectors.Walk, _ query: PageTableVectors.Walk.Query) -> String {
        let accesses: [String: Access] = ["read": .read, "write": .write, "exec": .execute]
        guard let configuration = configuration(walk.cfg), let root = walk.cfg.topPa,
            let access = accesses[query.access]
        else { return "no configuration" }
        do throws(MemoryError) {
            let memory = try memory(walk)
            let result = Walker.translate(
                configuration, root: PhysicalAddress(root.value), memory: memory.view, iova: IOVA(query.iova.value),
                access: access)
            return withExtendedLifetime(memory) {
                switch result {
                case .translated(let found):
                    // A walk that succeeds was a user's all the way.
                    let told = query.result.perms
                    return translated(
                        found.pa.rawValue, size: found.pageSizeLog2, level: found.level,
                        rights: label(
                            found.protection, user: told?.user.map { _ in true },
                            exec: told?.exec.map { _ in found.isExecutable }))
                case .fault(let fault, let level, _): return "fault \(fault.rawValue) at level \(label(level))"
                // In the vectors an unlisted page is outside memory; to the walker it is merely absent.
                case .absent(_, let level):
                    return "fault \(TranslationFault.pointerOutsideMemory.rawValue) at level \(level)"
                }
            }
        } catch {
            return "no memory: \(error)"
        }
    }

    private func translated(_ pa: UInt64?, size: Int?, level: Int?, rights: String) -> String {
        "\(label(pa)) page 2^\(label(size)) level \(label(level)) \(rights)"
    }

    private func memory(_ walk: PageTableVectors.Walk) throws(MemoryError) -> PhysicalMemory {
        var memory = PhysicalMemory()
        for page in walk.memory {
            let region = try MappedRegion.anonymous(bytes: 4096)
            try memory.add(at: PhysicalAddress(page.pa.value), byteCount: 4096, region: region)
            let words = region.base.assumingMemoryBound(to: UInt64.self)
            for entry in page.entries where (0..<512).contains(entry.index) { words[entry.index] = entry.value.value }
        }
        return memory
    }
}
