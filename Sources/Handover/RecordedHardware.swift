import Engine
import IOMMUModel
import Snapshot

extension UnitDescription {
    /// The unit that a record is of.
    package init(_ record: UnitRecord) {
        self.init(
            id: record.id, kind: record.kind, segment: record.segment, registerBase: record.registerBase,
            hostAddressWidth: record.hostAddressWidth, registers: record.registers.map { .init($0.name, $0.value) },
            encryptionBit: record.encryptionBit, accessedDirty: record.accessedDirty)
    }
}

extension MachineDevice {
    /// The device that a record is of; `traits`: what the record does not say.
    package init(_ record: DeviceRecord, _ traits: DeviceTraits? = nil) {
        self.init(
            requester: record.requester, unit: record.unit, group: record.group, hasFunction: record.hasFunction,
            vendorID: record.vendorID, deviceID: record.deviceID, classCode: record.classCode, driver: record.driver,
            atsEnabled: record.atsEnabled, priEnabled: record.priEnabled, busMaster: traits?.busMaster ?? true,
            pasidBits: traits?.pasidBits ?? 0, canReset: traits?.canReset ?? true)
        isPowered = traits?.isPowered ?? true
        interruptsEnabled = traits?.interruptsEnabled ?? false
    }
}

extension ReservedRegion {
    /// The region that a record is of.
    package init(_ record: ReservedRegionRecord) {
        self.init(group: record.group, kind: record.kind, range: record.range)
    }
}
