import IOMMUModel

/// Drivers, open device files and resets: what is asked of a device beside its DMA.
extension LiveEngine {
    /// What VFIO's start-up at an open did to the device.
    public enum Opening: Sendable, Hashable {
        /// The device was reset, as at every first open; its group's DMA waits for an attach.
        case started
        /// Nothing: the device came through a session and its DMA goes on.
        case suppressed
    }

    /// What a reset acts upon.
    public enum ResetScope: String, Sendable, Hashable, CaseIterable {
        /// The function alone (FLR).
        case function
        /// Every device on its bus (secondary bus or slot reset).
        case bus
    }

    /// Opens a device's VFIO file: one that came through a session only with that session, once it is claimed, and then
    /// without the reset and the blocking domain of VFIO's start-up; the same file is answered again.
    ///
    /// - Throws: `ENODEV` no such device or no PCI function, `ENOENT` no such session, `EBUSY` a kernel driver is bound, the
    ///   file is open, or the device is in the hands of a session, not claimed yet or quarantined.
    @discardableResult
    public mutating func open(_ requester: RequesterID, session: SessionID? = nil) throws(Errno) -> Opening {
        var arguments: [Event.Argument] = [.init("device", requester)]
        if let session { arguments.append(.init("session", session)) }
        return try operation("open", arguments) { (engine) throws(Errno) in
            guard let device = engine.machine.device(requester), device.hasFunction,
                let attachment = engine.attachmentTable[AttachmentKey(requester)]
            else { throw .ENODEV }
            guard session.map({ engine.sessionTable[$0] != nil }) ?? true else { throw .ENOENT }
            guard Self.passiveDrivers.contains(device.driver) else { throw .EBUSY }
            switch attachment.state {
            case .live, .released:
                guard session == nil || attachment.session == session,
                    engine.openDevices.insert(requester).inserted
                else { throw .EBUSY }
                return .started
            case .claimed, .adopted, .replaced:
                guard session != nil, attachment.session == session else { throw .EBUSY }
                return .suppressed
            case .preserved, .restored, .orphaned, .quarantined: throw .EBUSY
            }
        }
    }

    /// Closes a device's VFIO file: what it was attached to, with and without PASIDs, is left for the blocking domain. A
    /// quarantined one is blocked already.
    ///
    /// - Throws: `ENOENT` it is not open, `EBUSY` a session holds it, or a former kernel's domain is in use (its agent's death
    ///   is ``abandon(_:)``).
    public mutating func close(_ requester: RequesterID) throws(Errno) {
        try operation("close", [.init("device", requester)]) { (engine) throws(Errno) in
            guard engine.openDevices.contains(requester), let group = engine.group(of: requester) else { throw .ENOENT }
            let state = engine.attachmentTable[AttachmentKey(requester)]?.state
            guard state != .preserved, state?.isInherited != true else { throw .EBUSY }
            // What a quarantined device holds goes with its release.
            if state != .quarantined { try engine.leaveHWPTs(requester, of: group) }
            engine.openDevices.remove(requester)
        }
    }

    /// Takes a device off everything that userspace attached it to.
    private mutating func leaveHWPTs(_ requester: RequesterID, of group: Group) throws(Errno) {
        for key in attachmentKeys(of: requester) where key.pasid != nil { try detachPASID(key) }
        guard group.attached.contains(requester) else { return }
        try detachUntagged(requester, of: group)
    }

    /// Binds a driver of the kernel's to a device, in the place of one that leaves the DMA to userspace.
    ///
    /// - Throws: `ENODEV`, `EINVAL` no name, or one of several words, `EBUSY` another kernel driver is bound, or somebody
    ///   owns the group's DMA: a token, VFIO, a former kernel's record.
    public mutating func bindDriver(_ name: String, to requester: RequesterID) throws(Errno) {
        try operation("bind-driver", [.init("device", requester), .init("driver", name)]) { (engine) throws(Errno) in
            guard let device = engine.machine.device(requester), device.hasFunction,
                let group = engine.groupTable[device.group]
            else { throw .ENODEV }
            guard !name.isEmpty, !name.utf8.contains(where: { $0 <= 0x20 }) else { throw .EINVAL }
            guard Self.passiveDrivers.contains(device.driver), group.owner == .none else { throw .EBUSY }
            try engine.requireMutable(group)
            engine.setDriver(name, of: requester)
        }
    }

    /// Unbinds a device's driver. From under VFIO its user has to go: attachments end, and with its group's last one the
    /// ownership of the DMA.
    ///
    /// - Throws: `ENODEV` no such device, or no driver, `EBUSY` a session has the device's file, or a former kernel's domain
    ///   is in use.
    public mutating func unbindDriver(_ requester: RequesterID) throws(Errno) {
        try operation("unbind-driver", [.init("device", requester)]) { (engine) throws(Errno) in
            guard let device = engine.machine.device(requester), !device.driver.isEmpty,
                let group = engine.groupTable[device.group],
                let state = engine.attachmentTable[AttachmentKey(requester)]?.state
            else { throw .ENODEV }
            guard state != .preserved, !state.isInherited else { throw .EBUSY }
            if state != .quarantined, group.owner == .vfio {
                try engine.requireMutable(group)
                try engine.leaveHWPTs(requester, of: group)
                if engine.groupTable[group.id]!.hwpt == nil,
                    group.members.allSatisfy({ engine.pasidTable[$0] == nil })
                {
                    try engine.giveUpOwnership(of: group)
                }
                if state == .replaced { engine.attachmentTable[AttachmentKey(requester)]!.state = .released }
            }
            engine.openDevices.remove(requester)
            engine.setDriver("", of: requester)
        }
    }

    private mutating func setDriver(_ name: String, of requester: RequesterID) {
        machine.setDriver(name, of: requester)
        // The device's record has changed, which belongs to its untagged attachment.
        attachmentTable.note(AttachmentKey(requester))
    }

    /// Resets a device, or all on its bus. What the engine knows of them stays: VFIO keeps their configuration over it.
    ///
    /// - Throws: `ENODEV`, `EOPNOTSUPP` there is no reset, `EBUSY` one of them goes through a former kernel's domain that
    ///   iommufd has not adopted: nobody could say what it was doing.
    public mutating func reset(_ requester: RequesterID, _ scope: ResetScope = .function) throws(Errno) {
        try operation("reset", [.init("device", requester), .init("scope", scope.rawValue)]) {
            (engine) throws(Errno) in
            guard let device = engine.machine.device(requester), device.hasFunction else { throw .ENODEV }
            guard device.canReset else { throw .EOPNOTSUPP }
            let touched =
                scope == .function
                ? [requester]
                : engine.machine.devices.map(\.requester).filter {
                    $0.segment == requester.segment && $0.rid >> 8 == requester.rid >> 8
                }
            for requester in touched {
                let state = engine.attachmentTable[AttachmentKey(requester)]?.state
                guard state?.isUnclaimed != true, state != .claimed else { throw .EBUSY }
            }
        }
    }

    /// Puts a device into D0, or into D3, in which it does nothing on the bus.
    ///
    /// - Throws: `ENODEV` no such device, or no PCI function.
    public mutating func setPower(_ on: Bool, of requester: RequesterID) throws(Errno) {
        try operation("power", [.init("device", requester), .init("on", on ? 1 : 0)]) { (engine) throws(Errno) in
            guard engine.machine.device(requester)?.hasFunction == true else { throw .ENODEV }
            engine.machine.change(requester) { $0.isPowered = on }
        }
    }

    /// Switches a device's interrupts. VFIO has them on while its user wants them, and a handover needs them off.
    ///
    /// - Throws: `ENODEV` no such device, or no PCI function.
    public mutating func setInterrupts(_ on: Bool, of requester: RequesterID) throws(Errno) {
        try operation("interrupts", [.init("device", requester), .init("on", on ? 1 : 0)]) { (engine) throws(Errno) in
            guard engine.machine.device(requester)?.hasFunction == true else { throw .ENODEV }
            engine.machine.change(requester) { $0.interruptsEnabled = on }
        }
    }

    /// Switches the tracking of dirty pages of an HWPT.
    ///
    /// - Throws: `ENOENT`, `EOPNOTSUPP` an adopted one, `EBUSY` preserved.
    public mutating func setDirtyTracking(_ enabled: Bool, of hwpt: HWPTID) throws(Errno) {
        try operation("dirty-tracking", [.init("hwpt", hwpt), .init("on", enabled ? 1 : 0)]) { (engine) throws(Errno) in
            guard let record = engine.hwptTable[hwpt] else { throw .ENOENT }
            guard record.session == nil else { throw .EOPNOTSUPP }
            guard engine.domainTable[record.domain]?.isPreserved == false else { throw .EBUSY }
            engine.hwptTable[hwpt]!.isDirtyTracked = enabled
        }
    }
}
