import Glibc

/// A part of a file that was read, up to the end of the file or the first error.
struct FilePart: Sendable {
    private var count = 0
    /// 0: there was none.
    private var error: Int32 = 0

    /// Fills `buffer` from the open file `number`, from its byte `offset` on.
    init(_ number: Int32, _ buffer: UnsafeMutableRawBufferPointer, at offset: Int) {
        guard let base = buffer.baseAddress else { return }
        while count < buffer.count {
            let read = pread(number, base + count, buffer.count - count, off_t(offset + count))
            if read == 0 { return }
            if read > 0 {
                count += read
            } else if errno != EINTR {
                error = errno
                return
            }
        }
    }

    /// The number of bytes that were there.
    func byteCount(_ path: String) throws(StoreError) -> Int {
        guard error == 0 else { throw .io(operation: "read", path: path, errno: error) }
        return count
    }
}
