import CReference
import IOMMUModel
import Measurement
import PageTables

extension TableGround {
    /// Mixes all that is answered for every page mapped and some that are not, for an access that reads and one that
    /// writes, on healthy tables and on damaged ones.
    func translations(_ translate: (_ iova: UInt64, _ access: Access) -> Answer) -> UInt64 {
        var digest = Digest()
        func mix(_ iova: UInt64) {
            for access in [Access.read, .write] {
                let answer = translate(iova, access)
                digest.mix(UInt64(answer.status.rawValue) << 32 | UInt64(truncatingIfNeeded: answer.level) & 0xff)
                digest.mix(UInt64(answer.pageSizeLog2) << 8 | UInt64(answer.rights))
                digest.mix(answer.pa)
                digest.mix(answer.entryAddress)
            }
        }
        for page in 0..<UInt64(1_000_100) { mix(page << 12 | page & 0xfff) }
        for iova in [1 << 47, 1 << 48, UInt64.max] { mix(iova) }
        for level in 0...3 {
            var table = referenceRoot
            for _ in level..<3 { table = format.tablePage(memory.word(at: PhysicalAddress(table)) ?? 0) }
            let entry = memory.word(at: PhysicalAddress(table)) ?? 0
            for damaged in format.damagedTables(entry) + format.withRightsTaken(entry) {
                _ = memory.setWord(damaged, at: PhysicalAddress(table))
                mix(0x123)
            }
            _ = memory.setWord(entry, at: PhysicalAddress(table))
        }
        return digest.value
    }

    func subjectAnswer(_ iova: UInt64, _ access: Access) -> Answer {
        let root = PhysicalAddress(referenceRoot)
        switch Walker.translate(configuration, root: root, memory: memory.view, iova: IOVA(iova), access: access) {
        case .translated(let translation):
            return Answer(
                status: REF_OK, level: translation.level, pageSizeLog2: translation.pageSizeLog2,
                rights: translation.protection.rawValue | (translation.isExecutable ? 8 : 0),
                pa: translation.pa.rawValue,
                entryAddress: translation.entryAddress.rawValue)
        case .fault(let fault, let level, let entry):
            let status: ref_status =
                switch fault {
                case .notPresent: REF_NOT_PRESENT
                case .permissionRead: REF_NO_READ
                case .permissionWrite: REF_NO_WRITE
                case .permissionUser: REF_NO_USER
                case .reservedBits: REF_RESERVED
                case .invalidLevel: REF_INVALID_LEVEL
                case .invalidPageSize: REF_INVALID_PAGE_SIZE
                case .leafNotAllowed: REF_LEAF_NOT_ALLOWED
                case .skippedLevelBits: REF_SKIPPED_BITS
                case .vaOutOfRange: REF_OUT_OF_RANGE
                case .nonCanonical: REF_NON_CANONICAL
                case .permissionExec, .pointerOutsideMemory, .invalidEncoding, .addressSize, .accessFlag:
                    preconditionFailure("no fault of a read or a write of these formats")
                }
            return Answer(status: status, level: level ?? -1, entryAddress: entry?.rawValue ?? 0)
        case .absent(let page, let level):
            return Answer(status: REF_ABSENT, level: level, entryAddress: page.rawValue)
        }
    }

    func referenceAnswer(_ iova: UInt64, _ access: Access) -> Answer {
        let result = ref_translate(
            &referenceConfiguration, referenceRoot, &referenceMemory, iova, access == .write)
        return Answer(
            status: result.status, level: Int(result.level), pageSizeLog2: Int(result.page_size_log2),
            rights: result.rights & ~4, pa: result.pa, entryAddress: result.entry_address)
    }
}
