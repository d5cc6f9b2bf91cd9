import Engine
import IOMMUModel
import Snapshot

/// What an engine answers by and no device record says: the width of a device's PASIDs, whether it may start DMA, whether
/// it can be reset, its power and its interrupts.
///
/// One row of the engine's state holds those of all devices, 8 bytes each, ascending: segment (4 bytes) and requester id
/// (2), big-endian, the PASIDs' width in bits (1), flags (1: bit 0 bus master, bit 1 can be reset, bit 2 in D3, bit 3
/// interrupts on).
package struct DeviceTraits: Sendable, Hashable {
    /// As ``Engine/MachineDevice/pasidBits``.
    package var pasidBits: UInt8
    /// As ``Engine/MachineDevice/busMaster``.
    package var busMaster: Bool
    /// As ``Engine/MachineDevice/canReset``.
    package var canReset: Bool
    /// As ``Engine/MachineDevice/isPowered``.
    package var isPowered: Bool
    /// As ``Engine/MachineDevice/interruptsEnabled``.
    package var interruptsEnabled: Bool

    static let rowName = "devices"
    private static let recordBytes = 8

    private init(_ device: MachineDevice) {
        pasidBits = device.pasidBits
        busMaster = device.busMaster
        canReset = device.canReset
        isPowered = device.isPowered
        interruptsEnabled = device.interruptsEnabled
    }

    private init(pasidBits: UInt8, flags: UInt8) {
        self.pasidBits = pasidBits
        busMaster = flags & 1 != 0
        canReset = flags & 2 != 0
        isPowered = flags & 4 == 0
        interruptsEnabled = flags & 8 != 0
    }

    private var flags: UInt8 {
        (busMaster ? 1 : 0) | (canReset ? 2 : 0) | (isPowered ? 0 : 4) | (interruptsEnabled ? 8 : 0)
    }

    static func bytes(of devices: [MachineDevice]) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(devices.count * recordBytes)
        for device in devices {
            let traits = DeviceTraits(device)
            let word =
                UInt64(device.requester.segment) << 32 | UInt64(device.requester.rid) << 16
                | UInt64(traits.pasidBits) << 8 | UInt64(traits.flags)
            withUnsafeBytes(of: word.bigEndian) { bytes += $0 }
        }
        return bytes
    }

    /// Those that a snapshot has; `nil` when it has none, or bytes that no engine wrote.
    package static func read(_ snapshot: Snapshot) -> [RequesterID: DeviceTraits]? {
        guard let row = snapshot.engineState.first(where: { $0.name == rowName }),
            row.bytes.count % recordBytes == 0
        else { return nil }
        var traits: [RequesterID: DeviceTraits] = [:]
        for start in stride(from: 0, to: row.bytes.count, by: recordBytes) {
            let word = row.bytes[start..<start + recordBytes].reduce(0) { $0 << 8 | UInt64($1) }
            let requester = RequesterID(segment: UInt32(word >> 32), rid: UInt16(truncatingIfNeeded: word >> 16))
            traits[requester] = DeviceTraits(
                pasidBits: UInt8(truncatingIfNeeded: word >> 8), flags: UInt8(truncatingIfNeeded: word))
        }
        return traits
    }
}
