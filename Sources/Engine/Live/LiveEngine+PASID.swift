import Hardware
import IOMMUModel

/// Attachments of requests with a PASID: per device, beside its untagged one.
extension LiveEngine {
    /// Every attachment of a device, untagged first, then by PASID. O(PASIDs of the device).
    public func attachmentKeys(of requester: RequesterID) -> [AttachmentKey] {
        guard attachmentTable[AttachmentKey(requester)] != nil else { return [] }
        return [AttachmentKey(requester)] + (pasidTable[requester] ?? []).map { AttachmentKey(requester, $0) }
    }

    /// Attaches the requests of `key`, whose group may be attached.
    mutating func attachPASID(_ key: AttachmentKey, of group: Group, to hwpt: HWPTID) throws(Errno) {
        guard let device = machine.device(key.requester), let unit = machine.unit(device.unit), let pasid = key.pasid,
            let domain = hwptTable[hwpt]?.domain
        else { throw .ENODEV }
        guard unit.hardware.supportsPASID, device.pasidBits > 0, group.isSingleton else { throw .EOPNOTSUPP }
        // Untagged requests are looked up under PASID 0 (VT-d RID_PASID, AMD GIoV).
        guard pasid.rawValue != 0, pasid.rawValue >> UInt32(device.pasidBits) == 0 else { throw .EINVAL }
        guard attachmentTable[key] == nil else { throw .EBUSY }
        addAttachment(key)
        do throws(Errno) {
            try move(key, to: domain)
        } catch {
            removeAttachment(key)
            throw error
        }
    }

    /// Blocks the requests of `key` and forgets the attachment.
    ///
    /// - Throws: `ENOENT` not attached, `EBUSY` an immutable IOAS.
    mutating func detachPASID(_ key: AttachmentKey) throws(Errno) {
        guard let attachment = attachmentTable[key] else { throw .ENOENT }
        if let hwpt = domainTable[attachment.domain]?.hwpt { try requireMutable(ioasOf: hwpt) }
        try move(key, to: blockedDomain)
        removeAttachment(key)
    }

    /// A new attachment on the blocked domain.
    mutating func addAttachment(_ key: AttachmentKey) {
        attachmentTable[key] = Attachment(key: key, domain: blockedDomain, state: .live)
        domainTable[blockedDomain]!.users.insert(key)
        notePASID(of: key)
    }

    /// The device has requests with one more PASID.
    mutating func notePASID(of key: AttachmentKey) {
        guard let pasid = key.pasid else { return }
        func add(to pasids: inout [PASID]) {
            let place = pasids.last.map { $0 < pasid } ?? true ? nil : pasids.firstIndex { $0 > pasid }
            pasids.insert(pasid, at: place ?? pasids.endIndex)
        }
        add(to: &pasidTable[key.requester, default: []])
    }

    /// Forgets an attachment with a PASID, which must be on the blocked domain.
    mutating func removeAttachment(_ key: AttachmentKey) {
        precondition(key.pasid != nil, "a device never has no domain")
        domainTable[blockedDomain]!.users.remove(key)
        attachmentTable[key] = nil
        pasidTable[key.requester]?.removeAll { $0 == key.pasid }
        if pasidTable[key.requester]?.isEmpty == true { pasidTable[key.requester] = nil }
    }
}
