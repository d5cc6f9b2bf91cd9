import IOMMUModel
import Store
import Validate

/// The generation that a restore starts from: the one asked for, else the newest whose seal counts.
struct RestoreSource {
    let path: String
    /// A later generation says that its seal no longer counts.
    let isRevoked: Bool
    /// Later generations without a seal that counts: what dead engines left, or thawed ones.
    let passedOver: [UInt64]

    /// Looks through `location`.
    ///
    /// - Returns: the source, or the verdict `cold-boot` when no seal of the store counts.
    /// - Throws: what is wrong with the path, or with the newest file that can be read.
    static func find(
        _ number: UInt64?, in location: StoreLocation
    ) throws(StoreError) -> Result<RestoreSource, RestoreRefusal> {
        let path: String
        do throws(StoreError) {
            path = try location.resolve(generation: number)
        } catch {
            guard case .noSealedGeneration = error else { throw error }
            let revoked = try location.generations().last {
                if case .revoked = $0.state { true } else { false }
            }
            guard let revoked else {
                return .failure(
                    RestoreRefusal(.coldBoot, .sealMissing, "no generation is sealed: nothing was handed over"))
            }
            return .failure(
                RestoreRefusal(
                    .coldBoot, .sealRevoked,
                    "the seal of generation \(revoked.number) was revoked: the old engine went on"))
        }
        guard location.isDirectory else {
            return .success(RestoreSource(path: path, isRevoked: false, passedOver: []))
        }
        let generations = try location.generations()
        guard let chosen = generations.first(where: { $0.path == path }) else {
            throw .noSealedGeneration(path: location.path)
        }
        let later = number == nil ? generations.filter { $0.number > chosen.number } : []
        let isRevoked = if case .revoked = chosen.state { true } else { false }
        return .success(RestoreSource(path: path, isRevoked: isRevoked, passedOver: later.map(\.number)))
    }

    /// Where a restore starts, in words.
    func notes(_ number: UInt64, _ seal: SealRecord) -> [String] {
        let start = "from generation \(number) (\(seal.receipt.expected))"
        guard !passedOver.isEmpty else { return [start] }
        let numbers = passedOver.map(String.init).joined(separator: ", ")
        return [start + ", the newest whose seal counts", "later, and without one: \(numbers)"]
    }
}
