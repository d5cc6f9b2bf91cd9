import Hardware
import IOMMUModel

/// Checks how requester ids and PASIDs index the lookup structures of every vendor that is built.
enum LookupIndexConformance {
    /// A vector's answer and this version's; `nil` for a line of vendors that are not built.
    static func split(_ vector: LookupVectors.Index) -> (expected: String, got: String)? {
        if let rid = vector.rid.flatMap({ UInt16(exactly: $0) }) {
            return (requesterAnswers(vector), requesterIndices(rid))
        }
        if let pasid = vector.pasid.flatMap({ UInt32(exactly: $0) }).flatMap({ PASID($0) }) {
            return (pasidAnswers(vector), pasidIndices(pasid))
        }
        return nil
    }

    private static func requesterAnswers(_ vector: LookupVectors.Index) -> String {
        """
        VT-d root \(label(vector.vtdRootIndex)), context \(label(vector.vtdLegacyContextIndex)), \
        scalable \(vector.vtdSmHalf ?? "-") \(label(vector.vtdSmContextIndex)); \
        AMD byte \(label(vector.amdDteByteOffset))
        """
    }

    private static func requesterIndices(_ rid: UInt16) -> String {
        """
        VT-d root \(VTDLookupIndex.root(rid)), context \(VTDLookupIndex.context(rid)), \
        scalable \(VTDLookupIndex.usesUpperScalableHalf(rid) ? "upper" : "lower") \
        \(VTDLookupIndex.scalableContext(rid)); AMD byte \(AMDLookupIndex.deviceEntryOffset(rid))
        """
    }

    private static func pasidAnswers(_ vector: LookupVectors.Index) -> String {
        """
        VT-d directory \(label(vector.vtdDirIndex)), table \(label(vector.vtdTableIndex)); \
        AMD \(vector.amdGcr3IndicesGlx2 ?? [])
        """
    }

    private static func pasidIndices(_ pasid: PASID) -> String {
        """
        VT-d directory \(VTDLookupIndex.directory(pasid)), table \(VTDLookupIndex.pasidTable(pasid)); \
        AMD \([3, 2, 1].map { AMDLookupIndex.gcr3(pasid, level: $0) })
        """
    }

    private static func label(_ number: Int?) -> String { number.map(String.init) ?? "-" }
}
