import IOMMUModel
import PageTables

/// The oracle of the walker: one step at a time, each by what an entry decodes to.
enum NaiveWalk: Equatable {
    case translated(pa: UInt64, log2: Int, level: Int, protection: Protection, isExecutable: Bool, entry: UInt64)
    case fault(TranslationFault, level: Int?, entry: UInt64?)
    case absent(page: UInt64, level: Int)

    /// What ``Walker`` says, in the same words.
    init(_ result: TranslationResult) {
        switch result {
        case .translated(let found):
            self = .translated(
                pa: found.pa.rawValue, log2: found.pageSizeLog2, level: found.level, protection: found.protection,
                isExecutable: found.isExecutable, entry: found.entryAddress.rawValue)
        case .fault(let fault, let level, let entry): self = .fault(fault, level: level, entry: entry?.rawValue)
        case .absent(let page, let level): self = .absent(page: page.rawValue, level: level)
        }
    }

    /// A walk whose table pages are in memory where `locate` says (`nil`: nowhere, and at an address that is absent).
    init(
        _ stage: TranslationStage, _ memory: PhysicalMemory, _ iova: UInt64, _ access: Access,
        locate: (UInt64) -> UInt64? = { $0 }
    ) {
        let shape = stage.configuration
        // Bit by bit: all above the width are 0, or the sign.
        let sign = shape.signExtended ? iova >> UInt64(shape.addressBits - 1) & 1 : 0
        guard (shape.addressBits..<64).allSatisfy({ iova >> UInt64($0) & 1 == sign }) else {
            self = .fault(shape.signExtended ? .nonCanonical : .vaOutOfRange, level: nil, entry: nil)
            return
        }
        var (page, level) = (stage.root.rawValue, shape.topLevel)
        var (protection, isUser, isExecutable) = (shape.rootProtection, true, true)
        while true {
            let host = locate(page) ?? page
            guard let words = memory.page(at: PhysicalAddress(host)) else {
                self = .absent(page: host, level: level)
                return
            }
            let index = iova >> UInt64(12 + 9 * level) & 511
            let address = host + index * 8
            let entry = PageTableEntry.decode(words[Int(index)], level: level, configuration: shape)
            protection.formIntersection(entry.protection)
            isUser = isUser && entry.isUser
            isExecutable = isExecutable && entry.isExecutable
            switch entry.kind {
            case .empty: self = .fault(.notPresent, level: level, entry: address)
            case .invalid(let fault): self = .fault(fault, level: level, entry: address)
            case .table(let next, let nextLevel):
                if entry.skippedLevels.contains(where: { iova >> UInt64(12 + 9 * $0) & 511 != 0 }) {
                    self = .fault(.skippedLevelBits, level: level, entry: address)
                    return
                }
                (page, level) = (next.rawValue, nextLevel)
                continue
            case .leaf(let pa, let log2):
                // An item of Armv8 has its own address.
                let own = shape.format == .armv8Stage2 ? 12 + 9 * level : log2
                let missing: TranslationFault? =
                    if !isUser { .permissionUser } else if access != .write && !protection.contains(.read) {
                        .permissionRead
                    } else if access == .write && !protection.contains(.write) {
                        .permissionWrite
                    } else if access == .execute && !isExecutable { .permissionExec } else { nil }
                if let missing {
                    self = .fault(missing, level: level, entry: address)
                } else {
                    self = .translated(
                        pa: pa.rawValue + (iova & ((1 << UInt64(own)) - 1)), log2: log2, level: level,
                        protection: protection, isExecutable: isExecutable, entry: address)
                }
            }
            return
        }
    }
}
