import IOMMUModel
import PageTables
import Testing

@testable import Hardware

@Suite("AMD faults")
struct AMDFaultCoverageTests {
    /// A request that meets `cause`; `nil` for those that a unit never answers.
    static func fault(_ cause: AMDFaultCause) throws -> HardwareFault? {
        let machine = try AMDMachine()
        machine.setEntry(8, AMDMachine.v1Entry())
        machine.setEntry(9, AMDMachine.v2Entry(glx: 0))
        machine.setGCR3([0: AMDMachine.v2, 5: AMDMachine.v2], levels: 1)
        func edit(_ change: (inout AMDDeviceTableEntry) -> Void) -> HardwareFault? {
            var entry = AMDMachine.v1Entry()
            change(&entry)
            machine.setEntry(8, entry)
            return machine.dma(8, 0x1000).fault
        }
        func page(_ number: UInt64, _ access: Access = .read) -> HardwareFault? {
            machine.dma(8, number << 12, access).fault
        }
        switch cause {
        case .deviceTableUnreachable, .pagingEntryUnreachable: return nil
        case .deviceBeyondTable: return machine.dma(256, 0).fault
        case .deviceEntryReserved: return edit { $0.word0 |= 4 }
        case .pagingMode: return edit { $0.word0 |= 7 << 9 }
        case .guestMode: return edit { $0.word0 |= 1 << 55 | 3 << 56 }
        case .translationInvalid: return edit { $0.word0 &= ~2 }
        case .pasidWithoutGuest: return machine.dma(8, 0, pasid: 0).fault
        case .pasidBeyondTable: return machine.dma(9, 0, pasid: 512).fault
        case .gcr3NotValid: return machine.dma(9, 0, pasid: 1).fault
        case .gcr3Reserved:
            machine.set(AMDMachine.gcr3.rawValue + 8, 1 | 2)
            return machine.dma(9, 0, pasid: 1).fault
        case .gcr3Untranslated:
            machine.setEntry(8, AMDMachine.nestedEntry())
            machine.set(0x112000 + 8 * 0x20, 0)
            return machine.dma(8, 0, pasid: 0).fault
        case .notPresent: return page(AMDMachine.Special.notPresent)
        case .readPermission: return page(AMDMachine.Special.writeOnly)
        case .writePermission: return page(AMDMachine.Special.readOnly, .write)
        case .executePermission: return machine.dma(9, 0x4000, .execute, pasid: 5).fault
        case .userPermission: return machine.dma(9, 0x3000, pasid: 5).fault
        case .pagingEntryReserved: return page(AMDMachine.Special.reserved)
        case .invalidLevel: return page(AMDMachine.Special.badLevel)
        case .invalidPageSize: return page(AMDMachine.Special.badSize)
        case .leafNotAllowed:
            machine.set(AMDMachine.gcr3.rawValue, 0x6000_0000_0000_0001)
            machine.setEntry(8, AMDDeviceTableEntry(v1Root: AMDMachine.gcr3, mode: 6, domainID: 1))
            return machine.dma(8, 0).fault
        case .skippedLevelBits:
            machine.set(0x110000, 0x112000 | 1 << 9 | 1 | 0x6000_0000_0000_0000)
            return machine.dma(8, 0x20_0000).fault
        case .addressBeyondWidth: return machine.dma(8, 1 << 39).fault
        }
    }

    @Test("Every cause that a unit answers is met by some request", arguments: AMDFaultCause.allCases)
    func coverage(cause: AMDFaultCause) throws {
        let fault = try Self.fault(cause)
        #expect(fault?.amd?.cause == cause || fault == nil)
        #expect((fault == nil) == [.deviceTableUnreachable, .pagingEntryUnreachable].contains(cause))
        #expect(fault?.reason.code == fault.map { _ in cause.event.rawValue })
    }

    @Test("Every event has a cause, and every fault of a walk is a cause of a page fault or of unreadable tables")
    func events() {
        #expect(Set(AMDFaultCause.allCases.map(\.event)) == Set(AMDFaultReason.Event.allCases))
        for fault in TranslationFault.allCases {
            let event = AMDFaultReason(fault, access: .write, guest: false).event
            #expect(event == (fault == .pointerOutsideMemory ? .pageTableHardwareError : .pageFault))
        }
    }
}
