import IOMMUModel
import PageTables

extension IOMMUHardware {
    /// As ``translate(_:pasid:iova:access:memory:)``, but writes nothing: for whoever looks at a machine or a record of
    /// one. A nested walk that would fail to set a bit goes on.
    public func observe(
        _ rid: UInt16, pasid: PASID?, iova: IOVA, access: Access, memory: MemoryView
    ) -> RequestOutcome {
        let isInterrupt =
            kind.usesInterruptWindow(isTagged: pasid != nil) && Self.interruptWindow.contains(iova)
        guard translationEnabled, !isInterrupt, case .context(let context) = resolve(rid, pasid: pasid, memory: memory)
        else {
            // Decided before any walk: there is nothing to write.
            return translate(rid, pasid: pasid, iova: iova, access: access, memory: memory)
        }
        var quiet = context
        quiet.path = context.path.withoutMarking
        switch translate(quiet, iova: iova, access: access, memory: memory) {
        case .translated(let translation, _): return .translated(translation, context: context)
        case .untranslated(let address, .some): return .untranslated(address, context: context)
        case let other: return other
        }
    }
}

extension TranslationPath {
    /// The same way, but its walks set no accessed and dirty bits.
    public var withoutMarking: TranslationPath {
        func quiet(_ stage: TranslationStage) -> TranslationStage {
            var stage = stage
            stage.configuration.accessedDirty = false
            return stage
        }
        return switch self {
        case .passThrough: self
        case .single(let stage): .single(quiet(stage))
        case .nested(let first, let second): .nested(first: quiet(first), second: quiet(second))
        }
    }
}
