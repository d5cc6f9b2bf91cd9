import Foundation
import Testing

@testable import Import

/// Files beside an image that cannot be read.
@Suite struct ImportErrorTests {
    @Test("Areas that cannot be read are told so")
    func areas() {
        func error(_ body: () throws -> Void) -> ImportError? {
            do {
                try body()
                return nil
            } catch { return error as? ImportError }
        }
        let path = FileManager.default.temporaryDirectory.path + "/areas-\(UUID().uuidString)"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL, 0o600)
        defer { unlink(path) }
        #expect(ftruncate(descriptor, 1 << 40) == 0)
        close(descriptor)
        #expect(
            error { _ = try AreaCSV.read(file: path) }
                == .tooLarge(path: path, bytes: 1 << 40, limit: AreaCSV.byteLimit))
        guard case .areaFile("x.csv", 1, _) = error({ _ = try AreaCSV.read(bytes: [], path: "x.csv") }) else {
            Issue.record("an empty file")
            return
        }
    }
}
