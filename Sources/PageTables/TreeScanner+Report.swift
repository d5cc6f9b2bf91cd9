import IOMMUModel

extension TreeScanner where Notes: ~Copyable {
    /// Lists a defect of the word at `index` of the table `record`.
    mutating func report(_ kind: TableDefect.Kind, at index: Int, of record: TableTree.Record, value: UInt64) {
        let shift = UInt64(12 + 9 * Int(record.level))
        let first = record.first | UInt64(index) &<< shift
        report(
            kind, entry: record.page | UInt64(index) &<< 3, value: value, level: Int(record.level), first: first,
            last: min(rules.lastLinear, first | ((1 &<< shift) &- 1)))
    }

    /// Lists each of `lints`.
    mutating func report(_ lints: EntryLints, at index: Int, of record: TableTree.Record, value: UInt64) {
        for (lint, kind) in TableDefect.Kind.lints where lints.contains(lint) {
            report(kind, at: index, of: record, value: value)
        }
    }

    /// Lists a defect about the linear input addresses `first...last`.
    mutating func report(
        _ kind: TableDefect.Kind, entry: UInt64?, value: UInt64, level: Int, first: UInt64, last: UInt64
    ) {
        guard tree.defects.count <= tree.budget.defects else { return }
        let spent = tree.defects.count == tree.budget.defects
        if spent { tree.isComplete = false }
        tree.defects.append(
            TableDefect(
                kind: spent ? .defectBudgetExceeded : kind, entryAddress: entry.map { PhysicalAddress($0) },
                value: value, level: level, range: IOVARange(first: rules.iova(first), last: rules.iova(last))!))
    }
}

extension TableDefect.Kind {
    /// What is listed for each lint.
    static let lints: [(EntryLints, TableDefect.Kind)] = [
        (.nonZeroNotPresent, .nonZeroNotPresent), (.misaligned, .misaligned), (.erratum512G, .erratum512G),
        (.ignoredBitsSet, .ignoredBits), (.noAccess, .noAccess), (.res0Bits, .res0Bits),
        (.contiguousMisaligned, .contiguousMisaligned),
    ]

    /// What is listed for a word that faults by itself.
    init(_ fault: TranslationFault) {
        switch fault {
        case .invalidLevel: self = .invalidLevel
        case .invalidPageSize: self = .invalidPageSize
        case .leafNotAllowed: self = .leafNotAllowed
        case .invalidEncoding: self = .invalidEncoding
        case .addressSize: self = .addressSize
        case .accessFlag: self = .accessFlag
        default: self = .reservedBits
        }
    }
}
