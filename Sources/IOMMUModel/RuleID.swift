/// The id of a rule: what findings, events and verdicts cite. What each one promises is in `Validate`'s catalogue.
public enum RuleID: String, Sendable, Hashable, CaseIterable {
    // The file.
    case storeApplication = "store-application"
    case storeVersion = "store-version"
    case storeSchema = "store-schema"
    case sealMissing = "seal-missing"
    case sealRevoked = "seal-revoked"
    case nonceAbsent = "nonce-absent"
    case nonceDiffers = "nonce-differs"
    case recordChecksum = "record-checksum"
    case manifestDiffers = "manifest-differs"
    case rootDigestDiffers = "root-digest-differs"
    case recordMalformed = "record-malformed"
    case referenceUnresolved = "reference-unresolved"

    // Units and lookup structures.
    case unitMissing = "unit-missing"
    case unitRegisterDiffers = "unit-register-differs"
    case vtdRootTableAddress = "vtd-root-table-address"
    case vtdTranslationMode = "vtd-translation-mode"
    case vtdRootReserved = "vtd-root-reserved"
    case vtdContextTableUnreachable = "vtd-context-table-unreachable"
    case vtdContextReserved = "vtd-context-reserved"
    case vtdContextTranslationType = "vtd-context-translation-type"
    case vtdContextAddressWidth = "vtd-context-address-width"
    case vtdPASIDDirectoryUnreachable = "vtd-pasid-directory-unreachable"
    case vtdPASIDDirectoryReserved = "vtd-pasid-directory-reserved"
    case vtdPASIDTableUnreachable = "vtd-pasid-table-unreachable"
    case vtdPASIDReserved = "vtd-pasid-reserved"
    case vtdPASIDTranslationType = "vtd-pasid-translation-type"
    case vtdPASIDAddressWidth = "vtd-pasid-address-width"
    case vtdPASIDBeyondDirectory = "vtd-pasid-beyond-directory"
    case vtdPASIDNotEnabled = "vtd-pasid-not-enabled"
    case amdDeviceTable = "amd-device-table"
    case amdDTEReserved = "amd-dte-reserved"
    case amdDTEMode = "amd-dte-mode"
    case amdDTEGuest = "amd-dte-guest"
    case amdDTETranslationInvalid = "amd-dte-translation-invalid"
    case amdGCR3Unreachable = "amd-gcr3-unreachable"
    case amdGCR3Reserved = "amd-gcr3-reserved"
    case smmuStreamTable = "smmu-stream-table"
    case smmuSTEConfig = "smmu-ste-config"
    case smmuSTEStage2 = "smmu-ste-stage2"
    case smmuSTENotRead = "smmu-ste-not-read"
    case lookupPageUnknown = "lookup-page-unknown"
    case requesterWithoutFunction = "requester-without-function"
    case cacheTagCollision = "cache-tag-collision"

    // Page tables.
    case tableReservedBits = "table-reserved-bits"
    case tableInvalidLevel = "table-invalid-level"
    case tableInvalidPageSize = "table-invalid-page-size"
    case tableLeafNotAllowed = "table-leaf-not-allowed"
    case tableMisaligned = "table-misaligned"
    case tableContiguousDiffers = "table-contiguous-differs"
    case tableErratum512G = "table-erratum-512g"
    case tableNoAccess = "table-no-access"
    case tableIgnoredBits = "table-ignored-bits"
    case tableLeavesDecodeAsTables = "table-leaves-decode-as-tables"
    case guestTableUnmapped = "guest-table-unmapped"
    case tableOutsideMemory = "table-outside-memory"
    case tablePageUnknown = "table-page-unknown"
    case tableNonZeroNotPresent = "table-non-zero-not-present"
    case tableReused = "table-reused"
    case tableLeafIntoTable = "table-leaf-into-table"
    case tableBudgetExceeded = "table-budget-exceeded"

    // Areas against tables.
    case areaMalformed = "area-malformed"
    case areaOverlap = "area-overlap"
    case areaReserved = "area-reserved"
    case areaNotMapped = "area-not-mapped"
    case areaAddressDiffers = "area-address-differs"
    case areaProtectionDiffers = "area-protection-differs"
    case mappingWithoutArea = "mapping-without-area"
    case areaWitnessMissing = "area-witness-missing"
    case backingAssumed = "backing-assumed"

    // Memory against the record.
    case tableMemoryDiffers = "table-memory-differs"
    case lookupMemoryDiffers = "lookup-memory-differs"
    case attachmentEntryDiffers = "attachment-entry-differs"
    case deviceMissing = "device-missing"
    case pasidBeyondDevice = "pasid-beyond-device"
    case unpreservedEntryLeft = "unpreserved-entry-left"

    // Preserve and the way back.
    case preserveNoFunction = "preserve-no-function"
    case preserveATS = "preserve-ats"
    case preserveGroup = "preserve-singleton-group"
    case preserveOwner = "preserve-dma-owner"
    case preserveDomain = "preserve-domain"
    case preservePASID = "preserve-pasid"
    case compareDiffers = "compare-differs"
}

/// How much a finding weighs.
public enum Severity: String, Sendable, Hashable, CaseIterable {
    /// A promise is broken; the exit code is 1.
    case error
    /// Suspicious, or a promise that cannot be checked; does not count for the exit code.
    case warning
    /// Worth knowing.
    case note
}
