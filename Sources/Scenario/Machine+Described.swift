import Engine
import IOMMUModel
import PageTables

extension Machine {
    /// A machine that a file describes; what does not fit together is the file's fault.
    ///
    /// - Throws: ``ScenarioError/machine(what:)``.
    static func described(
        memory: PhysicalMemory, ramRanges: [PhysicalRange], arenaRanges: [PhysicalRange],
        handoverPage: PhysicalAddress, units: [UnitDescription], devices: [MachineDevice],
        reservedRegions: [ReservedRegion]
    ) throws(ScenarioError) -> Machine {
        do throws(MachineError) {
            return try Machine(
                memory: memory, ramRanges: ramRanges, arenaRanges: arenaRanges, handoverPage: handoverPage,
                units: units, devices: devices, reservedRegions: reservedRegions)
        } catch {
            throw .machine(what: "\(error)")
        }
    }
}
