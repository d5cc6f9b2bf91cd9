// swift-tools-version: 6.2
import PackageDescription

/// Measurements of the library beside the same work done otherwise. A package of its own, so that no user of the
/// library resolves or builds it.
///
/// A ratio needs both sides in one run, round by round (A B, B A, A B …): these machines are noisy, and a harness that
/// measures one closure after the other, as ordo-one/benchmark does, compares two moments of the machine. So the runner
/// is a small one of our own (`Measurement`): at least 9 rounds, one ratio per round, the median of the ratios.
///
///     swift run -c release --package-path Sources/Benchmarks domstore-bench
///     swift run -c release --package-path Sources/Benchmarks domstore-bench --filter map --rounds 21 --json
///     swift run -c release --package-path Sources/Benchmarks domstore-bench --instructions
///
/// The flattened device tree beside the store is libfdt's: on Debian the package `libfdt-dev`.
///
/// `--instructions` counts instructions instead of time, one process a side, under valgrind. By hand (`strip -g` because
/// valgrind 3.19 does not read the debug information that this compiler writes):
///
///     strip -g -o /tmp/domstore-bench Sources/Benchmarks/.build/release/domstore-bench
///     valgrind --tool=callgrind --toggle-collect='*measuredSection*' \
///         /tmp/domstore-bench --benchmark map-4k-vtd --side swift --iterations 100000
///
/// The seal is written below `TMPDIR`, or /var/tmp. Its syncs, writes and bytes are counted inside the process (the program
/// defines `fsync` and `fdatasync` itself, /proc/self/io tells the rest). To see them from outside, all that stands
/// between the last `fsync` of the directory and the first `unlink` after it:
///
///     strace -f -y -e trace=fsync,fdatasync,pwrite64,unlink \
///         Sources/Benchmarks/.build/release/domstore-bench --benchmark seal-s --side seal
let package = Package(
    name: "Benchmarks",
    dependencies: [
        .package(name: "domstore", path: "../.."),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
    ],
    targets: [
        // Plain -O2: the build's own -fno-omit-frame-pointer, which costs C a register, is taken back.
        .target(
            name: "CReference", path: "Benchmarks/CReference",
            cSettings: [.unsafeFlags(["-O2", "-Xclang", "-mframe-pointer=none", "-Wall", "-Wextra"])],
            // Of Debian's libfdt-dev and libsqlite3-dev.
            linkerSettings: [.linkedLibrary("fdt"), .linkedLibrary("sqlite3")]),
        .target(name: "Measurement", path: "Benchmarks/Measurement"),
        .target(
            name: "PageTableBenchmarks",
            dependencies: ["CReference", "Measurement", .product(name: "DomainStore", package: "domstore")],
            path: "Benchmarks/PageTableBenchmarks"),
        .target(
            name: "MachineBenchmarks",
            dependencies: [
                "CReference", "Measurement", "PageTableBenchmarks", .product(name: "DomainStore", package: "domstore"),
            ],
            path: "Benchmarks/MachineBenchmarks"),
        .target(
            name: "StoreBenchmarks",
            dependencies: ["CReference", "Measurement", .product(name: "DomainStore", package: "domstore")],
            path: "Benchmarks/StoreBenchmarks"),
        .executableTarget(
            name: "domstore-bench",
            dependencies: [
                "MachineBenchmarks", "Measurement", "PageTableBenchmarks", "StoreBenchmarks",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            path: "Benchmarks/domstore-bench"),
    ]
)
