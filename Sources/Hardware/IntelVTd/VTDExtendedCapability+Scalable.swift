extension VTDExtendedCapability {
    /// Memory types: CD, EMTE and PAT are fields of a PASID-table entry.
    public var memoryTypes: Bool { Self.mts.value(in: rawValue) != 0 }
    /// PGTT 3 is allowed.
    public var nested: Bool { Self.nest.value(in: rawValue) != 0 }
    /// Page requests: PRE is a field of the context entry.
    public var pageRequests: Bool { Self.prs.value(in: rawValue) != 0 }
    /// Execute requests, of older revisions.
    public var executeRequests: Bool { Self.ers.value(in: rawValue) != 0 }
    /// Supervisor requests: SRE is a field of a PASID-table entry.
    public var supervisorRequests: Bool { Self.srs.value(in: rawValue) != 0 }
    /// Extended accessed flag: EAFE is a field of a PASID-table entry.
    public var extendedAccessed: Bool { Self.eafs.value(in: rawValue) != 0 }
    /// Width of a request's PASID in bits, 1 to 20.
    public var pasidBits: Int { min(20, Int(Self.pss.value(in: rawValue)) + 1) }
    /// Requests with a PASID: PASIDE is a field of the context entry.
    public var pasid: Bool { Self.pasid.value(in: rawValue) != 0 }
    /// SSADE is a field of a PASID-table entry.
    public var secondStageAccessedDirty: Bool { Self.ssads.value(in: rawValue) != 0 }
    /// PGTT 2 is allowed.
    public var secondStage: Bool { Self.ssts.value(in: rawValue) != 0 }
    /// PGTT 1 is allowed.
    public var firstStage: Bool { Self.fsts.value(in: rawValue) != 0 }
    /// PWSNP is a field of a PASID-table entry.
    public var walkSnoop: Bool { Self.smpwcs.value(in: rawValue) != 0 }
    /// RID_PASID is a field of the context entry.
    public var ridPASID: Bool { Self.rps.value(in: rawValue) != 0 }
    /// RID_PRIV is a field of the context entry.
    public var ridPrivilege: Bool { Self.rprivs.value(in: rawValue) != 0 }
    /// Host permission tables; not read by this version, which has no translated requests.
    public var hostPermissionTable: Bool { Self.hpts.value(in: rawValue) != 0 }
    /// PASIDs in translated requests.
    public var pasidInTranslatedRequests: Bool { Self.ptrs.value(in: rawValue) != 0 }

    /// What a scalable-mode unit can do besides the features of both modes.
    public struct Scalable: OptionSet, Sendable, Hashable {
        /// The bits of ECAP themselves.
        public let rawValue: UInt64
        /// Any 64 bits; those of ECAP's other fields are a bug of the caller.
        public init(rawValue: UInt64) { self.rawValue = rawValue }
        /// PGTT 1.
        public static let firstStage = Scalable(rawValue: VTDExtendedCapability.fsts.mask)
        /// PGTT 2.
        public static let secondStage = Scalable(rawValue: VTDExtendedCapability.ssts.mask)
        /// PGTT 3.
        public static let nested = Scalable(rawValue: VTDExtendedCapability.nest.mask)
        /// SSADE. Hardware has it with ``walkSnoop`` only.
        public static let secondStageAccessedDirty = Scalable(rawValue: VTDExtendedCapability.ssads.mask)
        /// PWSNP.
        public static let walkSnoop = Scalable(rawValue: VTDExtendedCapability.smpwcs.mask)
        /// RID_PASID.
        public static let ridPASID = Scalable(rawValue: VTDExtendedCapability.rps.mask)
        /// All of the above.
        public static let all: Scalable = [
            .firstStage, .secondStage, .nested, .secondStageAccessedDirty, .walkSnoop, .ridPASID,
        ]
    }

    /// A scalable-mode unit's register as an engine's simulated unit has it. `pasidBits` is 0 (no requests with a
    /// PASID) to 20.
    public init(
        scalable features: Scalable, pasidBits: Int = 20, snoopControl: Bool = true, deviceTLB: Bool = false,
        passThrough: Bool = true
    ) {
        self.init(snoopControl: snoopControl, deviceTLB: deviceTLB, passThrough: passThrough)
        rawValue |= Self.smts.encoded(1) | features.rawValue
        if pasidBits > 0 { rawValue |= Self.pasid.encoded(1) | Self.pss.encoded(UInt64(pasidBits - 1)) }
    }
}
