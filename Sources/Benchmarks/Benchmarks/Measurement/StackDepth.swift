/// Calls something from a place of its own on the stack.
///
/// Where variables are decides up to a sixth of the time of a few nanoseconds' work, by chance of their addresses. Rounds
/// that each run at another depth meet every chance, and their median none in particular.
enum StackDepth {
    /// Calls `body` with `depth` kilobytes, and some, of stack above it.
    static func call<R>(depth: Int, _ body: () throws -> R) throws -> R {
        guard depth > 0 else { return try body() }
        return try withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 16) { buffer in
            touch(buffer)
            let result = try call(depth: depth - 1, body)
            touch(buffer)
            return result
        }
    }

    /// Something that needs the buffer, before and after.
    @inline(never)
    private static func touch(_ buffer: UnsafeMutableRawBufferPointer) { buffer[0] = 1 }
}
