import Hardware
import IOMMUModel
import PageTables

/// One request followed from the root register, step by step.
public struct TranslationTrace: Sendable, Hashable {
    /// One entry that the hardware reads.
    public struct Step: Sendable, Hashable {
        public enum Kind: Sendable, Hashable {
            case rootEntry
            case contextEntry
            /// An entry of a page table at this level; level 0 maps 4 KiB.
            case table(level: Int)
        }

        public var kind: Kind
        /// Of the entry's first word.
        public var address: PhysicalAddress
        /// Two words for lookup entries, one for page tables.
        public var words: [UInt64]
        /// What the words say, in the order in which it is worth reading.
        public var fields: [Field]
    }

    /// One statement of an entry.
    public struct Field: Sendable, Hashable {
        public var name: String
        public var value: String
        init(_ name: String, _ value: some CustomStringConvertible) {
            self.name = name
            self.value = value.description
        }
    }

    /// What the request comes to.
    public enum Ending: Sendable, Hashable {
        /// The address that it reaches. No page size where nothing is translated (pass-through, translation off).
        case address(PhysicalAddress, protection: Protection, pageSizeLog2: Int?)
        /// An interrupt request (VT-d 3.14).
        case interrupt
        /// The hardware's fault: its reason, and the entry at fault when there is one.
        case fault(VTDFaultReason, entryAddress: PhysicalAddress?)
        /// Refused without a fault record: RTADDR.TTM is abort-DMA.
        case aborted
        /// The page that comes next is not recorded, so nobody knows.
        case unknown(page: PhysicalAddress)
        /// The unit is not of a kind, or in a mode, that this version reads.
        case unreadable(String)
    }

    public var device: RequesterID
    public var pasid: PASID?
    public var iova: IOVA
    public var access: Access
    public var steps: [Step]
    public var ending: Ending
}

extension TranslationTrace.Step.Kind: CustomStringConvertible {
    public var description: String {
        switch self {
        case .rootEntry: "root entry"
        case .contextEntry: "context entry"
        case .table(let level): "level \(level) entry"
        }
    }
}

extension TranslationTrace.Step {
    /// The fields as `name=value`, joined by one space.
    public var meaning: String { fields.map { "\($0.name)=\($0.value)" }.joined(separator: " ") }
}

extension TranslationTrace.Ending: CustomStringConvertible {
    public var description: String {
        switch self {
        case .address(let pa, let protection, let size):
            "\(pa) (\(protection)\(size.map { ", \(Self.bytes(log2: $0)) page" } ?? ", not translated"))"
        case .interrupt: "interrupt request"
        case .fault(let reason, let address): "\(reason)\(address.map { " at \($0)" } ?? "")"
        case .aborted: "aborted: RTADDR.TTM is abort-DMA"
        case .unknown(let page): "unknown: page \(page) is not recorded"
        case .unreadable(let why): "unknown: \(why)"
        }
    }

    /// `4K`, `2M`, `1G` and so on.
    static func bytes(log2: Int) -> String {
        let units = ["", "K", "M", "G", "T", "P"]
        return "\(1 << (log2 % 10))\(units[min(log2 / 10, 5)])"
    }
}
