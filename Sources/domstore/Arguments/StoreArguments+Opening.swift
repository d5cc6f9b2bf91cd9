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
            let reader = try GenerationReader(path: path)
            if let note = reader.header.journal.note { Talk.say("\(path): \(note)") }
            return reader
        } catch {
            throw Failure(error, about: path)
        }
    }

    /// What can be read of its state. Damaged records are left out: what they held is unknown.
    func readable() throws -> (snapshot: Snapshot, damage: Damage) {
        let reader = try open()
        let (snapshot, defects) = reader.snapshotAndDefects()
        let damage = Damage(defects, of: reader.header.path)
        guard let snapshot else { throw damage.unreadable }
        return (snapshot, damage)
    }

    /// The file of the directory that `error` is about, where it does not say so itself.
    func unreadable(_ error: StoreError) -> String? {
        guard let location = try? StoreLocation(store), location.isDirectory,
            let generations = try? location.generations()
        else { return nil }
        return generations.last { $0.state == .unreadable(error) }?.path
    }
}

extension JournalState {
    /// What is to be said of a hot journal: the file itself was not touched.
    var note: String? {
        switch self {
        case .none, .spent: nil
        case .rolledBack: "found a hot journal beside it; it was rolled back in a copy, which is what is read"
        case .stray: "found a hot journal beside it, which is not its own: the generation is sealed without it"
        }
    }
}
