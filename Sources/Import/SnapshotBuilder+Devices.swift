import Hardware
import IOMMUModel
import Snapshot

extension SnapshotBuilder {
    /// Records groups, reserved regions and devices: every PCI function, and every requester id with a lookup
    /// entry. Such an id without a function is a bridge's alias, unless no functions are known at all.
    mutating func addDevices() {
        var groupOwners: [GroupID: Bool] = [:]
        for group in image.metadata.groups {
            groupOwners[group.id] = false
            snapshot.reservedRegions += group.regions
        }
        for function in image.metadata.functions {
            if let group = function.group { groupOwners[group, default: false] = false }
        }
        // Groups that nothing names get numbers above all others.
        var nextGroup = (groupOwners.keys.map(\.rawValue).max() ?? 0) + 1
        func newGroup() -> GroupID {
            defer { nextGroup += 1 }
            return GroupID(nextGroup)
        }
        // Untagged requests come first.
        let attachedByRequester = Dictionary(
            attached.map { ($0.requester, $0) }, uniquingKeysWith: { first, _ in first })
        var devices: [RequesterID: DeviceRecord] = [:]
        for function in image.metadata.functions {
            let requester = self.requester(of: function)
            guard devices[requester] == nil else { continue }
            let attached = attachedByRequester[requester]
            let group = function.group ?? newGroup()
            groupOwners[group] = groupOwners[group, default: false] || function.driver == "vfio-pci"
            devices[requester] = DeviceRecord(
                requester: requester, unit: unit(of: requester, attached), group: group, vendorID: function.vendorID,
                deviceID: function.deviceID, classCode: function.classCode, driver: function.driver,
                atsEnabled: function.atsEnabled ?? attached.map(Self.allowsATS) ?? false,
                priEnabled: function.priEnabled ?? false)
        }
        for attached in attached where devices[attached.requester] == nil {
            let isAlias = !image.metadata.functions.isEmpty
            let shared = isAlias ? aliasGroup(attached, functions: devices, attachedByRequester) : nil
            let group = shared ?? newGroup()
            if groupOwners[group] == nil { groupOwners[group] = false }
            devices[attached.requester] = DeviceRecord(
                requester: attached.requester, unit: units[attached.unit].record.id, group: group,
                hasFunction: !isAlias,
                atsEnabled: Self.allowsATS(attached))
        }
        snapshot.devices = Array(devices.values)
        snapshot.groups = groupOwners.map { id, isVFIO in
            GroupRecord(id: id, owner: isVFIO ? .vfio : .none, ownerAssumed: isVFIO)
        }
    }

    /// On the segment that the meta file names, else on that of the units when they agree, else on 0.
    private func requester(of function: ImageMetadata.Function) -> RequesterID {
        guard !function.hasSegment, let segment = units.first?.record.segment,
            units.allSatisfy({ $0.record.segment == segment })
        else { return function.requester }
        return RequesterID(segment: segment, rid: function.requester.rid)
    }

    /// The unit whose entry attaches `requester`; without one the unit that ACPI names, else the first of its segment.
    private func unit(of requester: RequesterID, _ attached: Attached?) -> UnitID {
        if let attached { return units[attached.unit].record.id }
        let named = units.first { $0.firmware.serves(requester) == true }
        let found = named ?? units.first { $0.record.segment == requester.segment } ?? units.first
        return found?.record.id ?? UnitID(1)
    }

    /// The lookup entry lets the device ask for translations (ATS).
    private static func allowsATS(_ attached: Attached) -> Bool { attached.context?.allowsDeviceTLB ?? false }

    /// The group of a requester id without a function: a bridge's alias belongs to the group of the functions behind the
    /// bridge, which are those that ACPI gives the alias, or those on its bus that use its table root, when these are of
    /// one group. `nil` otherwise.
    private func aliasGroup(
        _ alias: Attached, functions: [RequesterID: DeviceRecord], _ attachedByRequester: [RequesterID: Attached]
    ) -> GroupID? {
        let firmware = units[alias.unit].firmware
        let root = alias.context?.path.host?.root
        var groups = Set<GroupID>()
        for (requester, device) in functions where device.hasFunction {
            let isNamed = requester != alias.requester && firmware.alias(of: requester) == alias.requester
            let other = attachedByRequester[requester]
            let isNeighbour =
                requester.segment == alias.requester.segment && requester.bus == alias.requester.bus && root != nil
                && other?.unit == alias.unit && other?.context?.path.host?.root == root
            if isNamed || isNeighbour { groups.insert(device.group) }
        }
        return groups.count == 1 ? groups.first : nil
    }
}
