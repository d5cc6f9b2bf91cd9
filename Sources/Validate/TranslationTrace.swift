import Hardware
import IOMMUModel
import PageTables

/// One request followed from the root register, step by step.
public struct TranslationTrace: Sendable, Hashable {
    /// One entry that the hardware reads.
    public struct Step: Sendable, Hashable {
        /// What the entry is.
        public enum Kind: Sendable, Hashable {
            /// Of the bus, in the root table (VT-d 9.1).
            case rootEntry
            /// Of device and function, in the context table (VT-d 9.3).
            case contextEntry
            /// An entry of a page table at this level; level 0 maps 4 KiB.
            case table(level: Int)
        }

        /// What the entry is.
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
        /// As the specification names it, or a word of ours in lower case.
        public var name: String
        /// As it is printed.
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

    /// Whose request it is.
    public var device: RequesterID
    /// `nil`: untagged.
    public var pasid: PASID?
    /// What the device put on the bus.
    public var iova: IOVA
    /// What it asked for.
    public var access: Access
    /// From the root entry down, as far as the walk got; empty when no table was read.
    public var steps: [Step]
    /// What the request comes to.
    public var ending: Ending
}

extension TranslationTrace.Step.Kind: CustomStringConvertible {
    /// In words: `root entry`, `context entry`, `level 0 entry`.
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
    /// One line.
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
