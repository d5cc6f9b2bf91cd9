/// How words of the formats look, made without the library's own code for them.
enum TableStyle: UInt8, CaseIterable {
    case secondStage
    case firstStage
    case amd
    /// Present only: root entries, GCR3 entries, PASID directory entries.
    case present
    /// Armv8 stage 2.
    case armStage2

    /// A word of a table of `level` that points to page `number` of a ``SmallMachine``.
    func pointer(to number: Int, level: Int) -> UInt64 {
        let page = SmallMachine.page(number).rawValue
        return switch self {
        case .secondStage: page | 3
        case .firstStage: page | 0x27
        case .amd: page | 1 | UInt64(level & 7) << 9 | 3 << 61
        case .present: page | 1
        case .armStage2: page | 3
        }
    }

    /// A leaf in a table of `level`.
    func leaf(frame: UInt64, level: Int) -> UInt64 {
        let page = frame << 12 & 0xf_ffff_ffff_f000
        let large: UInt64 = level > 0 ? 0x80 : 0
        return switch self {
        case .secondStage: page | 3 | large
        case .firstStage: page | 0x27 | large
        case .amd: page | 1 | 3 << 61
        case .present: page | 1 | large
        case .armStage2: page | 3 << 6 | 1 << 10 | (level > 0 ? 1 : 3)
        }
    }
}
