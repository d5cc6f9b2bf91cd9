import IOMMUModel
import PageTables

/// A memory image with what is known about the machine that it was taken from.
public struct MachineImage: Sendable {
    /// For messages.
    public var path: String
    /// What the image holds; all else is unknown.
    public var memory: PhysicalMemory
    /// What is known beside the bytes.
    public var metadata: ImageMetadata

    /// All as given; that the metadata belongs to the memory is not checked.
    public init(path: String, memory: PhysicalMemory, metadata: ImageMetadata) {
        self.path = path
        self.memory = memory
        self.metadata = metadata
    }

    /// Opens the image at `path`: an ELF core, or with `base` a raw one whose first byte lies there.
    ///
    /// The file is mapped; with ``ImageSharing/privateCopy`` nothing that is written to ``memory`` reaches it.
    public init(
        file path: String, base: PhysicalAddress? = nil, metadata: ImageMetadata, sharing: ImageSharing = .privateCopy
    ) throws(ImportError) {
        if let base {
            memory = try RawImage.open(path, base: base, sharing: sharing)
        } else {
            memory = try ELFCore.open(path, sharing: sharing)
        }
        self.path = path
        self.metadata = metadata
    }

    /// Applies the damage called `name` to ``memory``. Copies of this value share the memory.
    public func apply(damage name: String) throws(ImportError) { try apply(try metadata.damage(name)) }

    /// Applies `damage` to ``memory``, all of it or, when one old value is not there, nothing.
    public func apply(_ damage: ImageMetadata.Damage) throws(ImportError) {
        for patch in damage.patches {
            let found = memory.word(at: patch.address)
            guard found == patch.old else {
                throw .patchDiffers(name: damage.name, address: patch.address, found: found, expected: patch.old)
            }
        }
        for patch in damage.patches {
            guard memory.setWord(patch.new, at: patch.address) else {
                throw .patchDiffers(name: damage.name, address: patch.address, found: nil, expected: patch.old)
            }
        }
    }
}
