/// Where the fixtures are, found through this file's own place.
enum Fixtures {
    private static let folder = "/" + #filePath.split(separator: "/").dropLast(2).joined(separator: "/") + "/Fixtures/"
    static let images = folder + "images/"
    static let scenarios = folder + "scenarios/"
    static let vectors = folder + "vectors/"
    static let stores = folder + "store/"
}
