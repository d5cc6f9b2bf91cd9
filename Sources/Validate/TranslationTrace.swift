import Hardware
import IOMMUModel
import PageTables

/// One request followed from the root register, step by step.
public struct TranslationTrace: Sendable, Hashable {
    /// One entry that the hardware reads.
    public struct Step: Sendable, Hashable {
        /// What the entry is.
        public enum Kind: Sendable, Hashable {
            /// Of a lookup structure, by the name of its ``StructureLayout``: `vtd.context`, `amd.dte`.
            case lookup(String)
            /// Of a page table at this level, where there is one stage; level 0 maps 4 KiB.
            case table(level: Int)
            /// Of a guest's page table, the first of two stages.
            case guestTable(level: Int)
            /// Of the host's page table below a guest's: the walk of what the first stage ended in.
            case hostTable(level: Int)
        }

        /// What the entry is.
        public var kind: Kind
        /// Of the entry's first word, in the host's memory.
        public var address: PhysicalAddress
        /// All words of a lookup entry, one for page tables.
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
        /// An interrupt request (VT-d 3.14; AMD 48882 2.1.4.2).
        case interrupt
        /// The hardware's fault: its reason, and the entry at fault when there is one.
        case fault(FaultReason, entryAddress: PhysicalAddress?)
        /// Refused without a fault record: RTADDR.TTM is abort-DMA.
        case aborted
        /// The page that comes next is not recorded, so nobody knows.
        case unknown(page: PhysicalAddress)
        /// The unit is not of a kind that this version reads, or a register is missing.
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
    /// From the root structure down, as far as the walk got; empty when no table was read.
    public var steps: [Step]
    /// What the request comes to.
    public var ending: Ending
}

extension TranslationTrace.Step.Kind: CustomStringConvertible {
    /// In words: `root entry`, `context entry`, `level 0 entry`.
    public var description: String {
        switch self {
        case .lookup(let layout): Self.name(ofLayout: layout)
        case .table(let level): "level \(level) entry"
        case .guestTable(let level): "guest level \(level) entry"
        case .hostTable(let level): "host level \(level) entry"
        }
    }

    private static func name(ofLayout layout: String) -> String {
        switch layout {
        case VTDRootEntry.layout.name, VTDScalableRootEntry.layout.name: "root entry"
        case VTDContextEntry.layout.name, VTDScalableContextEntry.layout.name: "context entry"
        case VTDPASIDDirectoryEntry.layout.name: "PASID directory entry"
        case VTDPASIDEntry.layout.name: "PASID-table entry"
        case AMDDeviceTableEntry.layout.name: "device table entry"
        case AMDGCR3Entry.layout.name: "GCR3 entry"
        default: "\(layout) entry"
        }
    }
}

extension LookupStep {
    /// What the entry is, in words.
    var name: String { TranslationTrace.Step.Kind.lookup(layout.name).description }
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
