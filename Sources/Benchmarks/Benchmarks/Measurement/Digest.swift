/// A number that differs, as good as surely, when the words or their order differ. No protection against intent.
public struct Digest {
    /// 0 before the first word.
    public private(set) var value: UInt64 = 0

    /// A digest of no words.
    public init() {}

    /// Takes in one word more.
    public mutating func mix(_ word: UInt64) {
        let next = (value ^ word) &* 0x9e37_79b9_7f4a_7c15
        value = next ^ next &>> 29
    }
}
