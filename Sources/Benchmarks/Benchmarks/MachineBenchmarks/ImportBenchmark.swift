import Import
import Measurement

extension Benchmark {
    /// An image of Tests/Fixtures/images from its file to a snapshot, beside reading what the snapshot records. Without a
    /// goal: of 0.3 ms, half is opening and mapping the file, the rest lookup structures and records.
    public static func importImage(_ name: String) throws -> Benchmark {
        let folder =
            #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(5).joined(separator: "/")
            + "/Tests/Fixtures/images"
        let ground = try ImageGround(
            path: "\(folder)/\(name).elf", metadata: try ImageMetadata(file: "\(folder)/\(name).json"))
        return importImage(ground, name: name, summary: "\(name).elf", goal: nil, repetitions: 50)
    }

    /// The same for an image of 64 domains of 1 GiB in 4 KiB pages, one eighth of them fragmented.
    public static func importLargeImage() throws -> Benchmark {
        let image = try SyntheticImage()
        let ground = try ImageGround(path: image.path, metadata: image.metadata)
        return importImage(
            ground, name: "large",
            summary: "\(SyntheticImage.deviceCount) domains of 1 GiB in 4K pages, an eighth fragmented", goal: 2,
            repetitions: 1,
            facts: { [withExtendedLifetime(image) { "the image is a file in the page cache" }] })
    }

    private static func importImage(
        _ ground: ImageGround, name: String, summary: String, goal: Double?, repetitions: Int,
        facts: @escaping () throws -> [String] = { [] }
    ) -> Benchmark {
        Benchmark(
            name: "import-\(name)",
            summary: "\(summary): open and import, per page recorded, beside open, map and read of the same "
                + "\(ground.pageCount) pages",
            goal: goal, repetitions: repetitions,
            subject: Side(
                label: "import", operations: ground.pageCount, run: { _ in try ground.importImage() },
                digest: { try ground.sumOfRecord() }),
            reference: Side(
                label: "read", operations: ground.pageCount, run: { _ in try ground.readPages() },
                digest: { try ground.sumOfPages() }),
            facts: facts)
    }
}
