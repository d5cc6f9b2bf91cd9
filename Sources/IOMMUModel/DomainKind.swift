/// What a domain does with a request.
public enum DomainKind: String, Sendable, Hashable, CaseIterable {
    /// Translates through page tables.
    case paging
    /// Passes addresses through unchanged (pass-through).
    case identity
    /// Refuses every access.
    case blocked
    /// Translates through tables of the guest, whose addresses another domain translates (first and second stage).
    case nested

    /// Requests go through page tables: the domain's own, or a guest's and those of its parent.
    public var hasTables: Bool { self == .paging || self == .nested }
}

/// A page-table format. Levels count from the leaf: level 0 maps 4 KiB.
public enum PageTableFormatKind: String, Sendable, Hashable, CaseIterable {
    /// Intel VT-d second-stage paging (VT-d 3.7, 9.8).
    case vtdSecondStage = "vtd-second-stage"
    /// AMD v1, host page tables (AMD 48882 2.2.3).
    case amdV1 = "amd-v1"
    // swift-format-ignore: AlwaysUseLowerCamelCase
    /// x86-64 4- and 5-level paging: VT-d first stage (VT-d 3.6, 9.7), AMD v2 (AMD 48882 2.2.6).
    case x86_64 = "x86-64"
    /// Armv8-A VMSAv8-64 stage 2, 4 KiB granule (DDI 0487 D8; SMMUv3).
    case armv8Stage2 = "armv8-s2"
}

/// A kind of IOMMU, named as the command line and the meta files name it.
public enum IOMMUKind: String, Sendable, Hashable, CaseIterable {
    /// Intel VT-d.
    case intelVTd = "intel-vtd"
    /// AMD-Vi.
    case amdVi = "amd-vi"
    /// Arm SMMUv3.
    case armSMMUv3 = "arm-smmuv3"
    /// RISC-V IOMMU.
    case riscv = "riscv"

    /// Requests to x86's interrupt address range are interrupts and never walk: untagged ones on VT-d (VT-d 3.14), all on AMD
    /// (AMD 48882 2.1.4.2). Elsewhere it is an address like others.
    ///
    /// - Parameter isTagged: of requests with a PASID.
    public func usesInterruptWindow(isTagged: Bool) -> Bool {
        switch self {
        case .intelVTd: !isTagged
        case .amdVi: true
        case .armSMMUv3, .riscv: false
        }
    }
}

/// What a reserved region of a device or group asks for, as in Linux's `iommu_resv_type`.
public enum ReservedRegionKind: String, Sendable, Hashable, CaseIterable {
    /// Must be mapped 1:1 at all times; the device cannot be blocked.
    case direct
    /// Mapped 1:1 until a driver takes the device.
    case directRelaxable = "direct-relaxable"
    /// Must not be mapped.
    case reserved
    /// The hardware's interrupt window.
    case msi
    /// The interrupt window that the kernel maps itself (Arm).
    case softwareMSI = "sw-msi"
}

/// Where an area record came from.
public enum AreaOrigin: String, Sendable, Hashable, CaseIterable {
    /// The IOAS (or a file given by the user) said so: an independent witness for the tables.
    case declared
    /// Read off the page tables themselves: no independent witness.
    case derived
}

/// Who answers for a restored domain at one instant (lifecycle.md, "who is responsible").
public enum DomainHolder: String, Sendable, Hashable, CaseIterable {
    /// An HWPT object of userspace.
    case iommufd
    /// A live-update session that preserves it.
    case session
    /// Nothing but the sealed record: no kernel runs.
    case record
    /// The IOMMU core, which attached it at boot, or whose own it is.
    case core
}

/// Who owns the DMA of a group.
public enum DMAOwner: String, Sendable, Hashable, CaseIterable {
    /// Nobody: the kernel's own drivers may use the devices.
    case none
    /// Whoever brings the token of the session: nobody else gets the group.
    case token
    /// VFIO, for userspace.
    case vfio
}
