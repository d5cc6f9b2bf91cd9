import IOMMUModel
import Store

extension RestoreRefusal {
    /// A file that cannot be read as a generation: `stop`, since devices may still write into the memory it speaks of.
    public init(_ error: StoreError) {
        self.init(.stop, error.brokenRule, "\(error)")
    }
}

extension StoreError {
    /// The rule behind the error, ``RuleID/recordMalformed`` where none is nearer.
    public var brokenRule: RuleID {
        switch self {
        case .notOurs, .headerDamaged: .storeApplication
        case .tooNew, .tooOld, .unknownFeature: .storeVersion
        case .schemaDiffers: .storeSchema
        case .noSealedGeneration, .emptyDirectory: .sealMissing
        case .recordDamaged(_, _, _, let rule): rule
        default: .recordMalformed
        }
    }
}
