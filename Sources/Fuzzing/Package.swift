// swift-tools-version: 6.2
import PackageDescription

/// Fuzz targets of everything that reads a file from outside. A package of its own, so that no user of the library
/// resolves or builds it. `.ci/fuzz SECONDS` builds it, replays the corpus (`Tests/Fixtures/fuzz`) and runs each target.
///
/// One program, whose `main` is libFuzzer's; `--sanitize=fuzzer` gives every module of the library its coverage counters:
///
///     swift build -c release --sanitize=fuzzer --package-path Sources/Fuzzing
///     SWIFT_BACKTRACE=enable=no Sources/Fuzzing/.build/release/domstore-fuzz machine -max_total_time=20
///
/// The first argument is the target, all others are libFuzzer's: a file replays one input, a folder is a corpus.
let package = Package(
    name: "Fuzzing",
    dependencies: [.package(name: "domstore", path: "../..")],
    targets: [
        .executableTarget(
            name: "domstore-fuzz",
            dependencies: [.product(name: "DomainStore", package: "domstore")], path: "Fuzzing/domstore-fuzz")
    ]
)

for target in package.targets {
    target.swiftSettings = [.treatAllWarnings(as: .error)]
}
