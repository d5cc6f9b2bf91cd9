import CSQLite
import Foundation
import SQLite
import Testing

/// Writes that are made later, and together.
@Suite struct GatheringLayerTests {
    /// A file of the layer, open.
    private final class Opened {
        let file: UnsafeMutablePointer<sqlite3_file>
        private let name: UnsafePointer<CChar>?
        var methods: sqlite3_io_methods { file.pointee.pMethods.pointee }

        init(_ path: String) throws {
            let layer = try #require(sqlite3_vfs_find(GatheringLayer.name))
            file = UnsafeMutableRawPointer.allocate(byteCount: Int(layer.pointee.szOsFile), alignment: 16)
                .assumingMemoryBound(to: sqlite3_file.self)
            // SQLite's own way to a name that a layer takes.
            name = sqlite3_create_filename(path, "", "", 0, nil).map { UnsafePointer($0) }
            let flags = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
            try #require(layer.pointee.xOpen(layer, name, file, flags, nil) == SQLITE_OK)
        }

        func close() { #expect(methods.xClose(file) == SQLITE_OK) }

        deinit {
            file.deallocate()
            sqlite3_free_filename(name)
        }
    }

    private func holds(_ path: String, _ bytes: [UInt8]) throws -> Bool {
        try Data(contentsOf: URL(fileURLWithPath: path)).elementsEqual(bytes)
    }

    /// What large writes are begun early by; where it is not found, they are not.
    @Test func `the descriptor of a file of the default layer is found`() throws {
        let folder = try Folder(inMemory: true)
        let layer = try #require(sqlite3_vfs_find(nil))
        let size = Int(layer.pointee.szOsFile)
        let file = UnsafeMutableRawPointer.allocate(byteCount: size, alignment: 16)
            .assumingMemoryBound(to: sqlite3_file.self)
        defer { file.deallocate() }
        // Not within the macro: the bytes it passes to C are gone before C reads them.
        let made = sqlite3_create_filename(folder["x"], "", "", 0, nil)
        let name = try #require(made)
        defer { sqlite3_free_filename(name) }
        let flags = SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE
        try #require(layer.pointee.xOpen(layer, name, file, flags, nil) == SQLITE_OK)
        let descriptor = domstore_sqlite3_unix_descriptor(file, Int32(size))
        let target = try FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/\(descriptor)")
        #expect(target == folder["x"])
        #expect(domstore_sqlite3_unix_descriptor(file, 24) == -1)
        #expect(file.pointee.pMethods.pointee.xClose(file) == SQLITE_OK)
    }

    @Test func `random writes, ends and reads are those of a plain file`() throws {
        let folder = try Folder(inMemory: true)
        var random = SplitMix64(seed: 0x6a7e)
        for round in 0..<20 {
            let path = folder["\(round)"]
            let opened = try Opened(path)
            var model: [UInt8] = []
            for _ in 0..<400 {
                switch random.below(10) {
                case 0:
                    let count = random.below(model.count + 1)
                    #expect(opened.methods.xTruncate(opened.file, Int64(count)) == SQLITE_OK)
                    model.removeSubrange(count...)
                case 1: #expect(opened.methods.xSync(opened.file, SQLITE_SYNC_NORMAL) == SQLITE_OK)
                case 2:
                    var size: Int64 = 0
                    #expect(opened.methods.xFileSize(opened.file, &size) == SQLITE_OK)
                    #expect(size == model.count)
                case 3 where !model.isEmpty:
                    let start = random.below(model.count)
                    var bytes = [UInt8](repeating: 0, count: 1 + random.below(min(model.count - start, 130_000)))
                    #expect(opened.methods.xRead(opened.file, &bytes, Int32(bytes.count), Int64(start)) == SQLITE_OK)
                    let same = bytes.elementsEqual(model[start..<start + bytes.count])
                    #expect(same)
                default:
                    // Most follow the one before; some are larger than what is gathered at all, none than SQLite's layer
                    // takes in one call.
                    let start = random.below(4) == 0 ? random.below(model.count + 5_000) : model.count
                    let count = random.below(40) == 0 ? 130_000 : 1 + random.below(9_000)
                    let bytes = [UInt8](repeating: UInt8(truncatingIfNeeded: random.next()), count: count)
                    #expect(opened.methods.xWrite(opened.file, bytes, Int32(count), Int64(start)) == SQLITE_OK)
                    if model.count < start + count {
                        model += [UInt8](repeating: 0, count: start + count - model.count)
                    }
                    model.replaceSubrange(start..<start + count, with: bytes)
                }
            }
            // Whether by a sync or by its end, all of it comes.
            if round % 2 == 0 { #expect(opened.methods.xSync(opened.file, SQLITE_SYNC_NORMAL) == SQLITE_OK) }
            if round % 2 == 0 { #expect(try holds(path, model)) }
            opened.close()
            #expect(try holds(path, model))
        }
    }

    @Test func `writes that follow each other are one call, and its error is the sync's`() throws {
        for fault in [nil, Fault(ordinals: [2], error: ENOSPC)] {
            let folder = try Folder(inMemory: true)
            let recorder = CallRecorder(folder, fault: fault)
            try recorder.record {
                let opened = try Opened(folder["file"])
                recorder.begin()
                var page = [UInt8](repeating: 1, count: 4096)
                for number in 0..<3 {
                    #expect(opened.methods.xWrite(opened.file, page, 4096, Int64(number * 4096)) == SQLITE_OK)
                }
                // Not behind the last one: the three before are written.
                #expect(opened.methods.xWrite(opened.file, page, 4096, 40_960) == SQLITE_OK)
                page[0] = 2
                #expect(opened.methods.xWrite(opened.file, page, 4096, 45_056) == SQLITE_OK)
                let code = opened.methods.xSync(opened.file, SQLITE_SYNC_NORMAL)
                #expect(code == (fault == nil ? SQLITE_OK : SQLITE_FULL))
                // It is not tried again.
                #expect(opened.methods.xSync(opened.file, SQLITE_SYNC_NORMAL) == SQLITE_OK)
                opened.close()
            }
            let sizes = recorder.calls.compactMap { call in
                if case .write(_, _, let bytes) = call { bytes.count } else { nil }
            }
            #expect(sizes == [12_288, fault == nil ? 8192 : 4096])
        }
    }
}
