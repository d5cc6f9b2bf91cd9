import Glibc

/// The fuzz targets by the name that the command line has for them.
enum Target: String, CaseIterable {
    /// Lookup structures, page tables and registers of a small machine, patched.
    case machine
    /// The headers of an ELF core.
    case core
    /// A meta file, or an ACPI table.
    case metadata
    /// A file of areas.
    case areas
    /// A generation file, changed.
    case store

    func run(_ input: UnsafeRawBufferPointer) {
        switch self {
        case .machine: MachineTarget.run(input)
        case .core: CoreTarget.run(input)
        case .metadata: MetadataTarget.run(input)
        case .areas: AreaTarget.run(input)
        case .store: StoreTarget.run(input)
        }
    }
}

/// Set once, before the first input.
nonisolated(unsafe) private var target = Target.machine

/// Called by libFuzzer's `main` before it reads its arguments: takes the first one, the target's name, away.
@_cdecl("LLVMFuzzerInitialize")
public func initialize(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>
) -> CInt {
    guard count.pointee > 1, let name = arguments.pointee[1], let named = Target(rawValue: String(cString: name)) else {
        let names = Target.allCases.map(\.rawValue).joined(separator: "|")
        print("usage: domstore-fuzz \(names) [LIBFUZZER-OPTION…] [FOLDER|FILE…]")
        exit(64)
    }
    target = named
    arguments.pointee[1] = arguments.pointee[0]
    arguments.pointee += 1
    count.pointee -= 1
    return 0
}

/// One input.
@_cdecl("LLVMFuzzerTestOneInput")
public func runOne(_ data: UnsafePointer<UInt8>?, _ size: Int) -> CInt {
    Aftermath.isTooLarge = false
    target.run(UnsafeRawBufferPointer(start: data, count: size))
    return Aftermath.isTooLarge ? -1 : 0
}
