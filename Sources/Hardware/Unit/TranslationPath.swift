import IOMMUModel
import PageTables

/// The way of a request's address, as the lookup structures say it.
public enum TranslationPath: Sendable, Hashable {
    /// The address passes unchanged; an access that the protection lacks faults (AMD: IR and IW of the device table
    /// entry; VT-d passes everything).
    case passThrough(Protection)
    /// Through one tree of tables.
    case single(TranslationStage)
    /// Through the guest's tables, whose own addresses and results go through the host's.
    /// (Two stages are twice as large as one, and rare: kept apart, so that lists of paths are half as large.)
    indirect case nested(first: TranslationStage, second: TranslationStage)

    /// The tables that the request's address enters; `nil` when it passes unchanged.
    public var first: TranslationStage? {
        switch self {
        case .passThrough: nil
        case .single(let stage), .nested(let stage, _): stage
        }
    }

    /// The host's tables: the second of two stages, or the only one; `nil` when the address passes unchanged.
    public var host: TranslationStage? {
        switch self {
        case .passThrough: nil
        case .single(let stage), .nested(_, let stage): stage
        }
    }
}
