/// A number that differs, as good as surely, when the words or their order differ. No protection against intent.
public struct Digest {
    public private(set) var value: UInt64 = 0

    public init() {}

    public mutating func mix(_ word: UInt64) {
        let next = (value ^ word) &* 0x9e37_79b9_7f4a_7c15
        value = next ^ next &>> 29
    }
}
