import CDomstore
import CInterface
import Foundation
import Testing

/// Every function of the header, called through its C declaration.
@Suite final class FunctionTests {
    private let folder: ScratchFolder
    private var machine: OpaquePointer?
    private let nic: UInt16 = 0x0018
    private let disk: UInt16 = 0x0020
    private let memory: UInt64 = 0x40_0000

    init() throws {
        folder = try ScratchFolder()
        try #require(domstore_create(CInt(DOMSTORE_INTEL_VTD), 16 << 20, 1, &machine) == 0)
        try #require(domstore_add_device(machine, nic) == 0 && domstore_add_device(machine, disk) == 0)
    }

    deinit { domstore_destroy(machine) }

    private var text: String { String(cString: domstore_error(machine)) }

    private func write(_ device: UInt16, _ iova: UInt64 = 0x1_0000, _ byte: UInt8 = 1) -> CInt {
        withUnsafeBytes(of: byte) { domstore_dma_write(machine, device, iova, $0.baseAddress, 1) }
    }

    /// Attaches the first device, with four pages at 0x10000.
    private func attachAndMap() throws {
        try #require(domstore_attach(machine, nic, nic) == 0)
        try #require(domstore_map(machine, nic, 0x1_0000, memory, 0x4000, CInt(DOMSTORE_READ_WRITE)) == 0)
    }

    @Test func `the version is the header's`() { #expect(domstore_version() == DOMSTORE_VERSION) }

    @Test func `a machine that cannot be is not created`() {
        var none: OpaquePointer? = machine
        #expect(domstore_create(2, 16 << 20, 1, &none) == -EINVAL && none == nil)
        for bytes in [0, 4095, 4097, 1 << 46 + 4096] as [UInt64] {
            #expect(domstore_create(CInt(DOMSTORE_AMD_VI), bytes, 1, &none) == -EINVAL && none == nil)
        }
        #expect(domstore_create(CInt(DOMSTORE_AMD_VI), 4096, 1, nil) == -EINVAL)
    }

    @Test func `null pointers are refused`() {
        #expect(domstore_add_device(nil, nic) == -EINVAL)
        #expect(domstore_memory(nil, memory, 1) == nil)
        #expect(domstore_attach(nil, nic, nic) == -EINVAL)
        #expect(domstore_detach(nil, nic) == -EINVAL)
        #expect(domstore_map(nil, nic, 0, memory, 4096, 3) == -EINVAL)
        #expect(domstore_unmap(nil, nic, 0, 4096) == -EINVAL)
        var address: UInt64 = 0
        #expect(domstore_translate(nil, nic, 0, 1, &address) == -EINVAL)
        #expect(domstore_translate(machine, nic, 0, 1, nil) == -EINVAL)
        #expect(domstore_dma_read(machine, nic, 0, nil, 1) == -EINVAL)
        #expect(domstore_dma_write(machine, nic, 0, nil, 1) == -EINVAL)
        #expect(domstore_dma_read(machine, nic, 0, nil, 0) == 0)
        #expect(domstore_dma_write(machine, nic, 0, nil, 0) == 0)
        #expect(domstore_freeze(nil) == -EINVAL && domstore_thaw(nil) == -EINVAL && domstore_jump(nil) == -EINVAL)
        #expect(domstore_seal(nil, "x") == -EINVAL && domstore_seal(machine, nil) == -EINVAL)
        #expect(domstore_restore(nil, "x", nil) == -EINVAL && domstore_restore(machine, nil, nil) == -EINVAL)
        #expect(domstore_finish(nil) == -EINVAL)
        #expect(String(cString: domstore_error(nil)) == "")
        domstore_destroy(nil)
    }

    @Test func `devices are added before the machine starts`() throws {
        #expect(text == "")
        #expect(domstore_add_device(machine, nic) == -EEXIST)
        #expect(text == "EEXIST")
        try attachAndMap()
        #expect(domstore_add_device(machine, 0x28) == -EBUSY)
    }

    @Test func `memory is where devices reach it`() throws {
        try attachAndMap()
        #expect(write(nic, 0x1_1234, 7) == 0)
        let bytes = try #require(domstore_memory(machine, memory, 0x4000))
        #expect(bytes.load(fromByteOffset: 0x1234, as: UInt8.self) == 7)
        var address: UInt64 = 0
        #expect(domstore_translate(machine, nic, 0x1_1234, CInt(DOMSTORE_READ), &address) == 0)
        #expect(address == memory + 0x1234)
        #expect(domstore_translate(machine, nic, 0x1_1234, CInt(DOMSTORE_READ_WRITE), &address) == -EINVAL)
        #expect(domstore_memory(machine, 0x10_0000 + 16 << 20, 1) == nil)
        #expect(domstore_memory(machine, memory, .max) == nil)
        #expect(text == "EFAULT")
    }

    @Test func `an address space goes with its last device`() throws {
        try attachAndMap()
        #expect(domstore_attach(machine, disk, 0x28) == -ENOENT)
        #expect(domstore_attach(machine, disk, nic) == 0)
        #expect(domstore_attach(machine, disk, nic) == -EBUSY)
        #expect(domstore_attach(machine, 0x28, 0x28) == -ENODEV)
        #expect(write(disk) == 0)
        #expect(domstore_detach(machine, nic) == 0)
        #expect(domstore_detach(machine, nic) == -ENOENT)
        #expect(write(disk) == 0 && write(nic) == -EFAULT)
        #expect(domstore_detach(machine, disk) == 0)
        // A new one has none of the mappings.
        #expect(domstore_attach(machine, disk, disk) == 0)
        #expect(write(disk) == -EFAULT)
        #expect(domstore_unmap(machine, nic, 0x1_0000, 0x4000) == -ENOENT)
    }

    @Test func `mappings are checked`() throws {
        try attachAndMap()
        let both = CInt(DOMSTORE_READ_WRITE)
        #expect(domstore_map(machine, disk, 0, memory, 4096, both) == -ENOENT)
        #expect(domstore_map(machine, nic, 1, memory, 4096, both) == -EINVAL)
        #expect(domstore_map(machine, nic, 0, memory, 4096, 0) == -EINVAL)
        #expect(domstore_map(machine, nic, 0, memory, 4096, 4) == -EINVAL)
        #expect(domstore_map(machine, nic, 0, 0, 4096, both) == -EINVAL)
        #expect(domstore_map(machine, nic, 1 << 48, memory, 4096, both) == -EINVAL)
        #expect(domstore_map(machine, nic, UInt64.max - 4095, memory, 8192, both) == -EOVERFLOW)
        #expect(domstore_map(machine, nic, 0x1_0000, memory, 4096, both) == -EEXIST)
        #expect(domstore_unmap(machine, nic, 0x1_0000, 4096) == -ENOENT)
        #expect(domstore_unmap(machine, nic, 0x1_0000, 0x4000) == 0)
        #expect(write(nic) == -EFAULT)
    }

    @Test func `a thaw goes back to where it was, and a later update still works`() throws {
        try attachAndMap()
        let store = folder["store"]
        #expect(domstore_thaw(machine) == -EBUSY && domstore_jump(machine) == -EBUSY)
        #expect(domstore_seal(machine, store) == -EBUSY && domstore_restore(machine, store, nil) == -EBUSY)
        #expect(domstore_finish(machine) == -EBUSY)
        #expect(domstore_freeze(machine) == 0)
        #expect(domstore_freeze(machine) == -EBUSY)
        #expect(domstore_seal(machine, store) == 0)
        #expect(domstore_thaw(machine) == 0)
        #expect(domstore_map(machine, nic, 0x2_0000, memory, 4096, CInt(DOMSTORE_WRITE)) == 0)
        for _ in 0..<2 {
            #expect(domstore_freeze(machine) == 0)
            #expect(domstore_seal(machine, store) == 0)
            #expect(domstore_jump(machine) == 0)
            #expect(domstore_map(machine, nic, 0x3_0000, memory, 4096, CInt(DOMSTORE_WRITE)) == -EBUSY)
            #expect(write(nic, 0x2_0000) == 0)
            var quarantined: CInt = -1
            #expect(domstore_restore(machine, store, &quarantined) == 0, "\(text)")
            #expect(quarantined == 0)
            // Inherited devices go over no second time.
            #expect(domstore_freeze(machine) == -EBUSY)
            #expect(domstore_finish(machine) == 0, "\(text)")
            #expect(write(nic, 0x2_0000) == 0)
        }
    }

    @Test func `an update without a seal is a cold boot`() throws {
        try attachAndMap()
        #expect(domstore_freeze(machine) == 0)
        #expect(domstore_seal(machine, folder["no/store"]) == -ENOENT)
        #expect(text.contains(folder["no/store"]))
        #expect(domstore_jump(machine) == 0)
        #expect(domstore_restore(machine, folder["store"], nil) == -ENOENT)
        #expect(write(nic) == 0)
    }

    @Test func `a damaged entry quarantines its device`() throws {
        try attachAndMap()
        #expect(domstore_attach(machine, disk, disk) == 0)
        #expect(domstore_map(machine, disk, 0x1_0000, memory, 4096, CInt(DOMSTORE_READ_WRITE)) == 0)
        #expect(domstore_freeze(machine) == 0)
        #expect(domstore_seal(machine, folder["store"]) == 0)
        #expect(domstore_jump(machine) == 0)
        // Tables lie above the memory: the leaf of the page at 0x13000 is the one word that leads to its memory.
        let end = 0x10_0000 + 16 << 20 as UInt64
        let first = try #require(domstore_memory(machine, 0x10_0000, 16 << 20))
        let tables = UnsafeMutableRawBufferPointer(start: first + 16 << 20, count: 4096 << 12)
            .bindMemory(to: UInt64.self)
        let leaf = try #require(tables.firstIndex { $0 & 0xf_ffff_f000 == memory + 0x3000 }, "no leaf above \(end)")
        tables[leaf] ^= 0x1000
        var quarantined: CInt = -1
        #expect(domstore_restore(machine, folder["store"], &quarantined) == 0)
        #expect(quarantined == 1 && text.hasPrefix("0000:00:03.0: audit: "))
        #expect(domstore_finish(machine) == 0, "\(text)")
        #expect(write(nic) == -EFAULT && write(disk) == 0)
    }
}
