import Glibc

/// A list that no longer changes, shared by all copies of what holds it.
final class FrozenBuffer<Element: BitwiseCopyable>: @unchecked Sendable {
    /// Valid while this lives.
    let elements: UnsafeBufferPointer<Element>

    /// Takes over memory of `malloc`.
    init(_ elements: UnsafeBufferPointer<Element>) { self.elements = elements }

    deinit { free(UnsafeMutableRawPointer(mutating: elements.baseAddress)) }
}
