import IOMMUModel

/// What the lookup of a device table entry ends in.
enum AMDDeviceLookup {
    /// V and TV are set, and the unit can do what the entry asks for.
    case device(AMDDevice)
    /// Every memory request of the device is refused.
    case fault(HardwareFault)
    /// V is 0.
    case untranslated
    /// A page of the device table that is not in memory.
    case absent(page: PhysicalAddress)
}
