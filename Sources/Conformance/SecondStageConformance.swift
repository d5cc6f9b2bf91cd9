import IOMMUModel
import PageTables

/// Checks VT-d second-stage entries and walks.
enum SecondStageConformance {
    static func run(_ vectors: SecondStageVectors) -> ConformanceReport {
        var report = ConformanceReport()
        for vector in vectors.encode {
            report.compare(vector.id, expected: expected(vector), got: encode(vector))
        }
        for vector in vectors.decode {
            report.compare(vector.id, expected: expected(vector.result), got: decode(vector))
        }
        for walk in vectors.walks { run(walk, into: &report) }
        return report
    }

    /// `nil` when no hardware has that shape.
    private static func configuration(_ given: SecondStageVectors.Configuration) -> PageTableConfiguration? {
        let sizes = given.sslps ?? 3
        return PageTableConfiguration(
            format: .vtdSecondStage, topLevel: given.topLevel ?? 4, addressBits: given.vaBits,
            hostAddressWidth: given.haw ?? 52, supports2M: sizes & 1 != 0, supports1G: sizes & 2 != 0,
            snoopControl: given.sc ?? true, deviceTLB: given.dt ?? false)
    }

    // MARK: Encode

    private static func expected(_ vector: SecondStageVectors.Encode) -> String {
        if vector.kind == "refuse" { return "refused: \(vector.why ?? "-")" }
        return "\(vector.entry.map { hex($0.value) } ?? "-") in \(vector.items ?? 1)"
    }

    private static func encode(_ vector: SecondStageVectors.Encode) -> String {
        guard let configuration = configuration(.init()) else { return "no configuration" }
        do throws(EncodingRefusal) {
            let word: UInt64
            if vector.kind == "table" {
                guard let pa = vector.pa else { return "no pa in the vector" }
                word = try PageTableEntry.encodeTable(
                    PhysicalAddress(pa.value), level: vector.level, configuration: configuration)
            } else {
                guard let oa = vector.oa, let size = vector.pageLg2 else { return "no oa or page_lg2 in the vector" }
                word = try PageTableEntry.encodeLeaf(
                    PhysicalAddress(oa.value), pageSizeLog2: size, level: vector.level,
                    protection: protection(vector.prot ?? []), snoop: vector.opts?.snp ?? false,
                    configuration: configuration)
            }
            return "\(hex(word)) in 1"
        } catch {
            return "refused: \(error.rawValue)"
        }
    }

    private static func protection(_ names: [String]) -> Protection {
        var result: Protection = []
        if names.contains("read") { result.insert(.read) }
        if names.contains("write") { result.insert(.write) }
        return result
    }

    // MARK: Decode

    private static func expected(_ result: SecondStageVectors.Decode.Result) -> String {
        let lint = result.lint ?? []
        switch result.type {
        case "leaf":
            return leaf(
                address: result.oa?.value, size: result.pageLg2, contiguous: result.contigLg2,
                protection: rights(result.perms), snoop: result.snp ?? false, accessed: result.accessed ?? false,
                dirty: result.dirty ?? false, ignored: result.ignoredBits?.value ?? 0, lint: lint)
        case "table":
            return table(
                address: result.pa?.value, nextLevel: result.nextLevel, protection: rights(result.perms), lint: lint)
        default: return "\(result.type) \(result.fault ?? "-") lint \(lint)"
        }
    }

    private static func decode(_ vector: SecondStageVectors.Decode) -> String {
        guard let configuration = configuration(vector.cfg), (0...4).contains(vector.level) else {
            return "no configuration"
        }
        let entry = PageTableEntry.decode(vector.entry.value, level: vector.level, configuration: configuration)
        let lint = entry.nonZeroNotPresent ? ["nonZeroNotPresent"] : []
        switch entry.kind {
        case .empty: return "empty - lint \(lint)"
        case .invalid(let fault): return "invalid \(fault.rawValue) lint \(lint)"
        case .table(let address, let nextLevel):
            return table(
                address: address.rawValue, nextLevel: nextLevel, protection: entry.protection.description, lint: lint)
        case .leaf(let address, let size):
            return leaf(
                address: address.rawValue, size: size, contiguous: 0, protection: entry.protection.description,
                snoop: entry.snoop, accessed: entry.accessed, dirty: entry.dirty, ignored: entry.ignoredBits,
                lint: lint)
        }
    }

    private static func rights(_ rights: SecondStageVectors.Rights?) -> String {
        guard let rights else { return "none given" }
        var result: Protection = []
        if rights.read { result.insert(.read) }
        if rights.write { result.insert(.write) }
        return result.description
    }

    private static func leaf(
        address: UInt64?, size: Int?, contiguous: Int?, protection: String, snoop: Bool, accessed: Bool, dirty: Bool,
        ignored: UInt64, lint: [String]
    ) -> String {
        """
        leaf \(label(address)) size 2^\(label(size)) contiguous \(label(contiguous)) \(protection) snoop \(snoop) \
        accessed \(accessed) dirty \(dirty) ignored \(hex(ignored, digits: 1)) lint \(lint)
        """
    }

    private static func table(address: UInt64?, nextLevel: Int?, protection: String, lint: [String]) -> String {
        "table \(label(address)) next level \(label(nextLevel)) \(protection) lint \(lint)"
    }

    private static func label(_ number: UInt64?) -> String { number.map { hex($0) } ?? "-" }
    private static func label(_ number: Int?) -> String { number.map(String.init) ?? "-" }

    // MARK: Walks

    private static func run(_ walk: SecondStageVectors.Walk, into report: inout ConformanceReport) {
        for (position, query) in walk.queries.enumerated() {
            let id = "\(walk.id)[\(position)] \(query.access) \(hex(query.iova.value))"
            report.compare(id, expected: expected(query.result), got: answer(walk, query))
        }
    }

    private static func expected(_ result: SecondStageVectors.Walk.Query.Result) -> String {
        guard result.ok else { return "fault \(result.fault ?? "-") at level \(label(result.level))" }
        return translated(
            result.pa?.value, size: result.pageLg2, level: result.level, protection: rights(result.perms))
    }

    private static func answer(
        _ walk: SecondStageVectors.Walk, _ query: SecondStageVectors.Walk.Query
    ) -> String {
        guard let configuration = configuration(walk.cfg), let root = walk.cfg.topPa,
            let access: Access = query.access == "read" ? .read : query.access == "write" ? .write : nil
        else { return "no configuration" }
        do throws(MemoryError) {
            let memory = try memory(walk)
            let result = Walker.translate(
                configuration, root: PhysicalAddress(root.value), memory: memory.view, iova: IOVA(query.iova.value),
                access: access)
            return withExtendedLifetime(memory) {
                switch result {
                case .translated(let found):
                    translated(
                        found.pa.rawValue, size: found.pageSizeLog2, level: found.level,
                        protection: found.protection.description)
                case .fault(let fault, let level, _): "fault \(fault.rawValue) at level \(label(level))"
                // In the vectors an unlisted page is outside memory; to the walker it is merely absent.
                case .absent(_, let level):
                    "fault \(TranslationFault.pointerOutsideMemory.rawValue) at level \(level)"
                }
            }
        } catch {
            return "no memory: \(error)"
        }
    }

    private static func translated(_ pa: UInt64?, size: Int?, level: Int?, protection: String) -> String {
        "\(label(pa)) page 2^\(label(size)) level \(label(level)) \(protection)"
    }

    private static func memory(_ walk: SecondStageVectors.Walk) throws(MemoryError) -> PhysicalMemory {
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
