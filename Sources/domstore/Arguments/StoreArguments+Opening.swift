import Snapshot
import Store
import Validate

extension StoreArguments {
    /// The generation file that is meant. Of a directory the newest sealed one that is not revoked, unless one is named.
    func path() throws -> String {
        do throws(StoreError) {
            return try StoreLocation(store).resolve(generation: generation)
        } catch {
            throw Failure(error, about: unreadable(error) ?? store)
        }
    }

    /// Opens that generation, read-only.
    func open() throws -> GenerationReader {
        let path = try path()
        do throws(StoreError) {
            return try GenerationReader(path: path)
        } catch {
            throw Failure(error, about: path)
        }
    }

    /// Its whole state; the first damaged record ends it.
    func snapshot() throws -> Snapshot {
        let reader = try open()
        do throws(StoreError) {
            return try reader.snapshot()
        } catch {
            throw Failure(error, about: reader.header.path)
        }
    }

    /// Its recorded pages as a machine that can be asked.
    func machine() throws -> RecordedMachine { try RecordedMachine(try snapshot()) }

    /// The file of the directory that `error` is about, where it does not say so itself.
    func unreadable(_ error: StoreError) -> String? {
        guard let location = try? StoreLocation(store), location.isDirectory,
            let generations = try? location.generations()
        else { return nil }
        return generations.last { $0.state == .unreadable(error) }?.path
    }
}
