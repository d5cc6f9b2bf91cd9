import CReference

/// All that a translation answers, in the numbers of the C side.
struct Answer {
    var status: ref_status
    var level = -1
    var pageSizeLog2 = 0
    var rights: UInt8 = 0
    var pa: UInt64 = 0
    var entryAddress: UInt64 = 0
}
