import Glibc
import Import

/// Input: a byte for the kind of unit, then the head of an ELF core, behind which the pages of a ``SmallMachine`` stand
/// from offset 4096 on.
enum CoreTarget {
    static func run(_ input: UnsafeRawBufferPointer) {
        var reader = InputReader(input)
        guard let kind = SmallMachine.Kind(rawValue: reader.byte() % 4), let machine = try? SmallMachine(kind) else {
            return
        }
        var bytes = reader.remaining()
        // A head that fills its page is a file of nothing else, with an end anywhere.
        if bytes.count < 4096 {
            bytes += [UInt8](repeating: 0, count: 4096 - bytes.count)
            bytes += machine.bytes
        }
        // Opening begins with the same; no file is written for what it refuses.
        guard bytes.withUnsafeBytes({ try? ELFCore.layout(of: $0, path: "-") }) != nil else { return }
        write(bytes)
        for sharing in [ImageSharing.privateCopy, .shared] {
            guard let image = try? MachineImage(file: path, metadata: machine.metadata, sharing: sharing) else {
                continue
            }
            Aftermath.run(image)
        }
    }

    /// One file of this process, written anew for each input.
    private static let path: String = {
        let folder = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
        let path = "\(folder)/domstore-fuzz-core.\(getpid())"
        atexit { unlink(CoreTarget.path) }
        return path
    }()

    private static func write(_ bytes: [UInt8]) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        precondition(descriptor >= 0, "cannot write \(path)")
        defer { close(descriptor) }
        let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
        precondition(count == bytes.count, "cannot write \(path)")
    }
}
