import Foundation
import IOMMUModel
import Snapshot
import Testing

@testable import Store

/// Answers to a wrong call, and to a disk that is not there.
@Suite("Store errors")
struct StoreErrorTests {
    private func error(_ body: () throws -> Void) -> StoreError? {
        do {
            try body()
            return nil
        } catch { return error as? StoreError }
    }

    private func inFolder(_ body: (String) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.path + "/errors-\(UUID().uuidString)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try body(folder)
    }

    @Test("A generation and a view that are not there are named")
    func missing() throws {
        try inFolder { folder in
            let path = folder + "/1.domstore"
            _ = try FreshGeneration.write(Snapshot(origin: .engine), to: path)
            let location = try StoreLocation(folder)
            #expect(
                error { _ = try location.resolve(generation: 7) } == .noSuchGeneration(path: location.path, number: 7))
            let reader = try GenerationReader(path: path)
            #expect(error { _ = try reader.rows(ofView: "nothing") } == .unknownView(name: "nothing"))
        }
    }

    @Test("Records that no table can hold are refused, and no file is left")
    func unrepresentable() throws {
        try inFolder { folder in
            var snapshot = Snapshot(origin: .engine)
            snapshot.backings = [
                BackingRecord(
                    id: BackingID(1), kind: .physical, base: PhysicalAddress(0), byteCount: 0, isSealed: true,
                    isAssumed: false)
            ]
            snapshot.ioases = [IOASRecord(id: IOASID(1), areaOrigin: .declared, isImmutable: false)]
            snapshot.areas = [0x9000, 0x1000].map { first in
                AreaRecord(
                    ioas: IOASID(1), range: IOVARange(first: IOVA(first), bytes: 0x1000)!, backing: BackingID(1),
                    offset: 0, protection: .read)
            }
            let found = error { _ = try FreshGeneration.write(snapshot, to: folder + "/1.domstore") }
            guard case .unrepresentable("area_chunk", _, _) = found else {
                Issue.record("\(found.map { "\($0)" } ?? "written")")
                return
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder)
            #expect(left == [])
        }
    }

    @Test("A folder that is not there cannot be written in; what cannot be removed is an error of the disk")
    func io() throws {
        #expect(
            error { _ = try FreshGeneration.write(Snapshot(origin: .engine), to: "/nowhere/at/all/1.domstore") }
                == .cannotOpen(path: "/nowhere/at/all/1.domstore", errno: ENOENT))
        try inFolder { folder in
            // A folder is not unlinked.
            let found = error { try FilePath(folder).remove() }
            guard case .io("unlink", _, let errno) = found else {
                Issue.record("\(found.map { "\($0)" } ?? "removed")")
                return
            }
            #expect(errno == EISDIR || errno == EPERM)
        }
    }
}
