import IOMMUModel
import PageTables

/// A file that is memory byte by byte, from one physical address on.
public enum RawImage {
    /// The memory of the file at `path`, mapped, whose first byte lies at `base`, 4 KiB aligned.
    public static func open(
        _ path: String, base: PhysicalAddress, sharing: ImageSharing = .privateCopy
    ) throws(ImportError) -> PhysicalMemory {
        let file = try InputFile(path, writable: sharing == .shared)
        guard base.isAligned(toLog2: 12), PhysicalRange(first: base, bytes: file.byteCount) != nil else {
            throw .rawBase(path: path, base: base, bytes: file.byteCount)
        }
        let region = try file.map(sharing)
        var memory = PhysicalMemory()
        do throws(MemoryError) {
            try memory.add(at: base, byteCount: file.byteCount, region: region)
        } catch {
            throw .memory(path: path, error)
        }
        return memory
    }
}
