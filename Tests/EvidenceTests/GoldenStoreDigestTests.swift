import Foundation
import Testing

@testable import Evidence

/// The golden stores are what was released, byte by byte: they are never written again.
struct GoldenStoreDigestTests {
    @Test(arguments: [
        ("version-1", "f39737cc724ad202a32d0f06f4d5def9bcd5e7a268d4039461aa056476f49906"),
        ("version-2", "8bc64adfe4609800f8bc55aacd45acc88ad72e45272ff649270c260be8aeeb87"),
    ])
    func `a golden store has the digest that it was given`(name: String, digest: String) throws {
        let folder = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let bytes = try Data(contentsOf: folder.appending(path: "Fixtures/store/\(name).domstore"))
        #expect(bytes.withUnsafeBytes { FileDigest(of: $0).description } == digest)
    }
}
