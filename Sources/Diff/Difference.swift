import IOMMUModel
import Snapshot

/// One thing in which two recorded states of a machine differ.
public struct Difference: Sendable, Hashable {
    /// What it is about, in the order in which differences are told.
    public enum Subject: String, Sendable, Hashable, CaseIterable {
        /// An IOMMU unit or its registers, by register base.
        case unit
        /// A range of physical memory.
        case memoryRange = "memory-range"
        /// An IOMMU group, by id.
        case group
        /// A device, by requester id.
        case device
        /// A reserved region of a group.
        case reservedRegion = "reserved-region"
        /// A memory file or range that areas are on, by kind and base.
        case backing
        /// A live-update session, by name.
        case session
        /// An I/O address space, by the domain that its HWPT stands for.
        case ioas
        /// An area of an I/O address space, by its first IOVA.
        case area
        /// A translation domain, by the requests that go through it.
        case domain
        /// An HWPT, by its domain.
        case hwpt
        /// Requests of a device with one PASID, or untagged: whether they go anywhere, and what they are cached under.
        case attachment
        /// An entry of a root, context, PASID, device or GCR3 table.
        case lookupEntry = "lookup-entry"
        /// Pages of those tables.
        case lookupPage = "lookup-page"
        /// A word of a page table.
        case tableEntry = "table-entry"
        /// Pages of page tables.
        case tablePage = "table-page"
        /// What the hardware makes of a range of IOVAs.
        case mapping
        /// A row of the engine's own state.
        case engineState = "engine-state"
    }

    /// How both states stand to it.
    public enum Change: String, Sendable, Hashable, CaseIterable {
        /// Only the first state has it.
        case gone
        /// Only the second state has it.
        case new
        /// Both have it, not alike.
        case changed
    }

    /// Requests of one device with one PASID, or untagged.
    public typealias Request = AttachmentKey

    /// What it is about.
    public var subject: Subject
    /// How both states stand to it.
    public var change: Change
    /// Whose requests it concerns, ascending; empty where it concerns none, or all.
    public var requests: [Request] = []
    /// The IOVAs that it concerns, both ends included.
    public var range: IOVARange?
    /// Of the 64-bit word, the entry or the first page that differs.
    public var address: PhysicalAddress?
    /// What the first state has, in words; `nil` when it has nothing.
    public var before: String?
    /// What the second state has, in words; `nil` when it has nothing.
    public var after: String?
    /// What differs, in words.
    public var what: String

    /// `SUBJECT-CHANGE`, for example `mapping-gone`.
    public var kind: String { "\(subject.rawValue)-\(change.rawValue)" }
}
