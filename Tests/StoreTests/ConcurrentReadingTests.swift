import Foundation
import IOMMUModel
import Snapshot
import Testing

@testable import Store

/// A large file is read by two threads, a small one by one: what comes out does not tell which.
@Suite("Reading by two threads")
struct ConcurrentReadingTests {
    static func expectSame(_ path: String, _ what: @autoclosure () -> String) throws {
        do throws(StoreError) {
            let reader = try GenerationReader(path: path)
            let (one, two) = (reader.readState(isConcurrent: false), reader.readState(isConcurrent: true))
            #expect(one.snapshot == two.snapshot, "\(what())")
            #expect(one.defects == two.defects, "\(what())")
            #expect(one.manifest == two.manifest, "\(what())")
            #expect(one.failure == two.failure, "\(what())")
        } catch {}
    }

    @Test("Of the golden store, whole or with a byte changed, two threads tell what one tells")
    func golden() throws {
        let folder = try Folder()
        let whole = try [UInt8](Data(contentsOf: URL(filePath: GoldenStoreTests.path)))
        let path = folder["a"]
        try Data(whole).write(to: URL(filePath: path))
        try Self.expectSame(path, "whole")
        for offset in stride(from: 100, to: whole.count, by: 211) {
            var bytes = whole
            bytes[offset] ^= 0x81
            try Data(bytes).write(to: URL(filePath: path))
            try Self.expectSame(path, "byte \(offset)")
        }
    }

    @Test("Areas of many rows and address spaces come back as they were, and so do pages beside them")
    func large() throws {
        let folder = try Folder()
        var snapshot = SnapshotMaker(seed: 5).make(size: 20)
        let ioas = snapshot.ioases[0].id
        snapshot.areas.removeAll { $0.ioas == ioas }
        for number in 0..<140_000 {
            snapshot.areas.append(
                AreaRecord(
                    ioas: ioas, range: IOVARange(first: IOVA(UInt64(number) << 13), bytes: 4096)!,
                    backing: snapshot.backings[0].id, offset: UInt64(number) << 12, protection: .readWrite))
        }
        snapshot.normalize()
        var writer = try GenerationWriter(creating: folder["a"], number: 1, origin: .engine)
        _ = try writer.seal(snapshot, nonce: HandoverNonce(high: 1, low: 2))
        try writer.release()
        let reader = try GenerationReader(path: folder["a"])
        try #require(
            Meanwhile<Int>.isWorthIt(bytes: Int(reader.header.byteCount)) || sysconf(Int32(_SC_NPROCESSORS_ONLN)) == 1)
        let (read, defects) = reader.snapshotAndDefects()
        #expect(defects.isEmpty)
        #expect(read == snapshot)
    }

    @Test("A large file is read whole, whatever its size", arguments: [4 << 20, (4 << 20) + 1, (5 << 20) - 1])
    func halves(size: Int) throws {
        let folder = try Folder()
        var value: UInt64 = 1
        var bytes = [UInt8](repeating: 0, count: size)
        for index in bytes.indices {
            value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            bytes[index] = UInt8(truncatingIfNeeded: value >> 56)
        }
        try Data(bytes).write(to: URL(filePath: folder["a"]))
        let read = try FileBytes.read(FilePath(folder["a"]))
        #expect(UnsafeRawBufferPointer(start: read.base, count: read.count).elementsEqual(bytes))
    }
}
