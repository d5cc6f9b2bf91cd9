import IOMMUModel
import PageTables

/// One IOMMU unit of any vendor as the hardware sees it: registers in, and from its root register down everything in
/// memory. Holds no cache.
///
/// The one place where the vendors part: whoever asks it needs to know none of their structures.
public enum IOMMUHardware: Sendable, Hashable {
    /// Intel VT-d, legacy or scalable mode.
    case vtd(VTDUnitHardware)
    /// AMD-Vi.
    case amd(AMDUnitHardware)
    /// Arm SMMUv3.
    case smmu(SMMUUnitHardware)

    /// Why registers by name are not enough.
    public struct MissingRegister: Error, Sendable, Hashable {
        /// The first one missing.
        public var name: String
        /// As given.
        public init(name: String) { self.name = name }
    }

    /// The unit's kind.
    public var kind: IOMMUKind {
        switch self {
        case .vtd: .intelVTd
        case .amd: .amdVi
        case .smmu: .armSMMUv3
        }
    }

    /// x86's interrupt address range: an untagged request to it is an interrupt and never walks (VT-d 3.14; AMD 48882
    /// 2.1.4.2, where it holds for every request).
    public static let interruptWindow = IOVARange(first: IOVA(0xfee0_0000), last: IOVA(0xfeef_ffff))!

    /// True for the addresses of ``interruptWindow``, where every access asks it.
    @inlinable public static func isInInterruptWindow(_ iova: IOVA) -> Bool { iova.rawValue &>> 20 == 0xfee }
}
