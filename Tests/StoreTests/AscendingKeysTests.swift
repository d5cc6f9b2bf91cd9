import Testing

@testable import Store

@Suite("Ascending keys")
struct AscendingKeysTests {
    @Test("Every key is found and no other, in whatever order they are asked for", arguments: 0..<20)
    func oracle(seed: Int) {
        var value = UInt64(seed)
        func next(_ bound: UInt64) -> UInt64 {
            value = value &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return (value >> 33) % bound
        }
        let all = Set((0..<seed * 3).map { _ in next(50) })
        var keys = AscendingKeys(all.sorted()) { $0 }
        for key in 0..<52 as Range<UInt64> { #expect(keys.contains(key) == all.contains(key)) }
        for _ in 0..<500 {
            let key = next(52)
            #expect(keys.contains(key) == all.contains(key))
        }
    }
}
