import Digest
import IOMMUModel
import Snapshot

/// What both states have under one name: units, memory, groups, devices, reserved regions, files, sessions, attachments.
extension StateComparison {
    func recordDifferences() -> [Difference] {
        unitDifferences() + groupDifferences() + deviceDifferences() + fileDifferences() + attachmentDifferences()
            + stateDifferences()
    }

    private func unitDifferences() -> [Difference] {
        // A register that only one state has is told as well.
        let names = Set((before.units + after.units).flatMap { $0.registers.map(\.name) }).sorted()
        let units = FieldComparison<UnitRecord>(
            subject: .unit, name: { "unit \($0.id) at \($0.registerBase)" },
            fields: { unit in
                [
                    ("unit", "\(unit.id)"), ("kind", unit.kind.rawValue), ("segment", "\(unit.segment)"),
                    ("host_address_width", "\(unit.hostAddressWidth)"),
                    ("encryption_bit", unit.encryptionBit.map { "\($0)" } ?? "-"),
                    ("accessed_dirty", "\(unit.accessedDirty)"),
                ] + names.map { ($0, unit[register: $0].map { hex($0) } ?? "-") }
            })
        let ranges = FieldComparison<MemoryRangeRecord>(
            subject: .memoryRange, name: { "\($0.kind.rawValue) \($0.range)" },
            place: { $1.address = $0.range.first })
        return units.differences(before.units, after.units, by: \.registerBase)
            + ranges.differences(before.memoryRanges, after.memoryRanges) { "\($0.range) \($0.kind.rawValue)" }
    }

    private func groupDifferences() -> [Difference] {
        let groups = FieldComparison<GroupRecord>(
            subject: .group, name: { "group \($0.id)" },
            fields: {
                [
                    ("owner", $0.owner.rawValue), ("token", "\($0.ownerToken)"), ("assumed", "\($0.ownerAssumed)"),
                ]
            })
        let regions = FieldComparison<ReservedRegionRecord>(
            subject: .reservedRegion, name: { "\($0.kind.rawValue) region \($0.range) of group \($0.group)" },
            place: { $1.range = $0.range })
        return groups.differences(before.groups, after.groups, by: \.id)
            + regions.differences(before.reservedRegions, after.reservedRegions) {
                "\($0.group) \($0.range) \($0.kind.rawValue)"
            }
    }

    private func deviceDifferences() -> [Difference] {
        let devices = FieldComparison<DeviceRecord>(
            subject: .device, name: { "device \($0.requester)" },
            fields: {
                [
                    ("unit", "\($0.unit)"), ("group", "\($0.group)"), ("function", "\($0.hasFunction)"),
                    ("vendor", hex(UInt64($0.vendorID), digits: 4)), ("device", hex(UInt64($0.deviceID), digits: 4)),
                    ("class", hex(UInt64($0.classCode), digits: 6)), ("driver", $0.driver.isEmpty ? "-" : $0.driver),
                    ("ats", "\($0.atsEnabled)"), ("pri", "\($0.priEnabled)"), ("preserved", "\($0.preserved)"),
                ]
            },
            place: { $1.requests = [.init($0.requester)] })
        return devices.differences(before.devices, after.devices, by: \.requester)
    }

    private func fileDifferences() -> [Difference] {
        let files = FieldComparison<BackingRecord>(
            subject: .backing, name: { "\($0.kind.rawValue) at \($0.base)" },
            fields: {
                [("bytes", "\($0.byteCount)"), ("sealed", "\($0.isSealed)"), ("assumed", "\($0.isAssumed)")]
            },
            place: { $1.address = $0.base })
        let sessions = FieldComparison<SessionRecord>(subject: .session, name: { "session \($0.name)" })
        return files.differences(before.backings, after.backings) { "\($0.kind.rawValue) \($0.base)" }
            + sessions.differences(before.sessions, after.sessions, by: \.name)
    }

    private func attachmentDifferences() -> [Difference] {
        let attachments = FieldComparison<AttachmentRecord>(
            subject: .attachment, name: { "the attachment of \(Difference.Request($0.requester, $0.pasid))" },
            fields: {
                [
                    ("cache_tag", $0.cacheTag.map { "\($0)" } ?? "-"), ("cache_pasid", $0.cachePASID.label),
                    ("entry", $0.entryAddress.map { "\($0)" } ?? "-"),
                ]
            },
            place: {
                $1.requests = [.init($0.requester, $0.pasid)]
                $1.address = $0.entryAddress
            })
        return attachments.differences(before.attachments, after.attachments, by: \.key)
    }

    private func stateDifferences() -> [Difference] {
        let rows = FieldComparison<EngineStateRecord>(
            subject: .engineState, name: { "engine state \($0.name)" },
            fields: { [("bytes", "\($0.bytes.count)"), ("content", Self.digits($0.bytes))] })
        return rows.differences(before.engineState, after.engineState, by: \.name)
    }

    /// Up to 16 bytes in hexadecimal, of more their hash: what they mean is the engine's own.
    private static func digits(_ bytes: [UInt8]) -> String {
        guard bytes.count > 16 else { return bytes.map { hex(UInt64($0), digits: 2).dropFirst(2) }.joined() }
        return "xxh64:\(hex(XXH64.hash(bytes)))"
    }
}
