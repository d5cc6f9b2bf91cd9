import Engine
import IOMMUModel

extension SimulatedMachine {
    /// Makes an empty address space.
    ///
    /// - Throws: `EBUSY` not running.
    public func createIOAS() throws(Errno) -> IOASID {
        try withEngine { (engine) throws(Errno) in try engine.createIOAS() }
    }

    /// Destroys an address space that no device is attached to.
    ///
    /// - Throws: `EBUSY` not running, or in use; `ENOENT` no such IOAS.
    public func destroyIOAS(_ ioas: IOASID) throws(Errno) {
        try withEngine { (engine) throws(Errno) in try engine.destroyIOAS(ioas) }
    }

    /// Lets the devices that are attached to `ioas`, now or later, reach `byteCount` bytes of memory from `address` on at
    /// `iova`. All three are whole 4 KiB pages; larger pages are used where they fit.
    ///
    /// - Throws: `EBUSY` not running, or a preserved device uses the IOAS; `ENOENT` no such IOAS; `EINVAL` not whole pages,
    ///   no protection, memory outside ``memoryRange``, an IOVA that is reserved or too wide for a unit; `EOVERFLOW` the
    ///   IOVAs wrap; `EEXIST` something is mapped there already; `ENOMEM` no frames for tables.
    public func map(
        _ ioas: IOASID, iova: IOVA, to address: PhysicalAddress, byteCount: UInt64,
        protection: Protection = .readWrite
    ) throws(Errno) {
        try withEngine { (engine) throws(Errno) in
            guard memoryRange.contains(address) else { throw .EINVAL }
            let file = try memoryFile(of: &engine)
            try engine.map(
                ioas: ioas, iova: iova, byteCount: byteCount, backing: file,
                offset: address.distance(from: memoryRange.first), protection: protection)
        }
    }

    /// The machine's memory as one memory file, sealed as live update asks.
    private func memoryFile(of engine: inout LiveEngine) throws(Errno) -> BackingID {
        if let file = engine.backings.first(where: { $0.kind == .memfd && $0.base == memoryRange.first }) {
            return file.id
        }
        return try engine.addBacking(.memfd, base: memoryRange.first, byteCount: memoryRange.lastOffset + 1)
    }

    /// Takes back every mapping in `byteCount` bytes from `iova` on; none is cut. Translations are gone from every cache
    /// when it returns.
    ///
    /// - Returns: how many bytes were mapped there.
    /// - Throws: `EBUSY` not running, or a preserved device uses the IOAS; `ENOENT` no such IOAS, nothing mapped there, or
    ///   a mapping only partly inside; `EINVAL` no bytes; `EOVERFLOW` the IOVAs wrap.
    @discardableResult
    public func unmap(_ ioas: IOASID, iova: IOVA, byteCount: UInt64) throws(Errno) -> UInt64 {
        try withEngine { (engine) throws(Errno) in
            try engine.unmap(ioas: ioas, iova: iova, byteCount: byteCount)
        }
    }

    /// Attaches a device's requests to `ioas`: those without a PASID, with the whole group, or those with one. Claims the
    /// DMA ownership of the group for userspace, and makes tables that the device's unit can walk unless the IOAS has
    /// such: of the unit's usual format, for an AMD device that can send PASIDs guest tables (v2, IOVAs of 47 bits).
    ///
    /// - Throws: `EBUSY` not running, attached already, preserved, or inherited; `ENODEV` no such device; `ENOENT` no such
    ///   IOAS; `EOPNOTSUPP` a PASID where unit or device has none; `EINVAL` attached to another one, a PASID of 0 or too
    ///   wide, or a group that must not be blocked; `EADDRINUSE` something is mapped where the group reserves; `ENOMEM`
    ///   no frames for tables; `ENOSPC` no cache tag.
    public func attach(_ requester: RequesterID, pasid: PASID? = nil, to ioas: IOASID) throws(Errno) {
        try withEngine { (engine) throws(Errno) in
            guard let group = engine.group(of: requester), let device = engine.machine.device(requester) else {
                throw .ENODEV
            }
            guard let space = engine.ioas(ioas) else { throw .ENOENT }
            if group.owner != .vfio { try engine.claimOwner(group.id, token: 1) }
            // AMD has one format for all requests of a device, and only guest tables for those with a PASID.
            let isAMD = engine.machine.unit(device.unit)?.kind == .amdVi
            let format: PageTableFormatKind? = isAMD && device.pasidBits > 0 ? .x86_64 : nil
            // As iommufd does it: the first of the IOAS's tables that fit, else new ones.
            for hwpt in space.hwpts where format == nil || format == engine.format(of: hwpt) {
                do throws(Errno) {
                    return try engine.attach(requester, pasid: pasid, to: hwpt)
                } catch {
                    guard error == .EINVAL else { throw error }
                }
            }
            let hwpt = try engine.createHWPT(ioas: ioas, unit: device.unit, format: format)
            do throws(Errno) {
                try engine.attach(requester, pasid: pasid, to: hwpt)
            } catch {
                try engine.destroyHWPT(hwpt)
                throw error
            }
        }
    }

    /// Takes a device's requests off their address space: they are blocked. Tables that nobody uses any more go with it.
    ///
    /// - Throws: `EBUSY` not running, preserved, or inherited; `ENODEV` no such device; `ENOENT` not attached.
    public func detach(_ requester: RequesterID, pasid: PASID? = nil) throws(Errno) {
        try withEngine { (engine) throws(Errno) in
            let former = engine.attachment(requester, pasid: pasid)?.domain
            try engine.detach(requester, pasid: pasid)
            if let domain = former.flatMap({ engine.domain($0) }), domain.users.isEmpty, let hwpt = domain.hwpt {
                try engine.destroyHWPT(hwpt)
            }
        }
    }

    /// The address space that a device's requests go through; `nil` when they are blocked, or from ``restore(from:)`` to
    /// ``replace(meanwhile:)``, and after a jump. A live update makes a new one, with the same mappings.
    public func ioas(of requester: RequesterID, pasid: PASID? = nil) -> IOASID? {
        if live != nil { return live!.ioas(of: AttachmentKey(requester, pasid)) }
        if frozen != nil { return frozen!.ioas(of: AttachmentKey(requester, pasid)) }
        return nil
    }
}

extension LiveEngine {
    /// The format of the tables of `hwpt`.
    fileprivate borrowing func format(of hwpt: HWPTID) -> PageTableFormatKind? {
        guard let domain = self.hwpt(hwpt)?.domain else { return nil }
        return self.domain(domain)?.table?.configuration.format
    }

    /// The address space that the requests of `key` go through.
    fileprivate borrowing func ioas(of key: AttachmentKey) -> IOASID? {
        guard let domain = attachment(key.requester, pasid: key.pasid)?.domain else { return nil }
        guard let hwpt = self.domain(domain)?.hwpt else { return nil }
        return hostIOAS(of: hwpt)
    }
}

extension FrozenEngine {
    fileprivate borrowing func ioas(of key: AttachmentKey) -> IOASID? { engine.ioas(of: key) }
}
