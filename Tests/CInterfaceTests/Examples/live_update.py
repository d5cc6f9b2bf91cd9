"""A disk behind an IOMMU, whose kernel is replaced while it does DMA.

    python3 Tests/CInterfaceTests/Examples/live_update.py .build/debug/libdomstore-c.so out

`out` is a directory that is not there yet. Exit 0 when everything came out as it must.
"""

import ctypes
import errno
import sys

AMD_VI, READ, READ_WRITE = 1, 1, 3
DISK = 0 << 8 | 4 << 3 | 0


class Machine:
    """A machine of domstore.h; what fails is an OSError with the library's text."""

    def __init__(self, library, kind, memory_bytes, seed=1):
        self.library = ctypes.CDLL(library)
        self.library.domstore_error.restype = ctypes.c_char_p
        self.library.domstore_memory.restype = ctypes.c_void_p
        self.library.domstore_destroy.restype = None
        self.handle = ctypes.c_void_p()
        result = self.library.domstore_create(
            ctypes.c_int(kind), ctypes.c_uint64(memory_bytes), ctypes.c_uint64(seed), ctypes.byref(self.handle))
        if result:
            raise OSError(-result, "create")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.library.domstore_destroy(self.handle)

    def call(self, name, *arguments):
        """Numbers are as wide as the function has them: 16 bits for a device, else 64 (int where it is the last one)."""
        result = getattr(self.library, "domstore_" + name)(self.handle, *arguments)
        text = self.library.domstore_error(self.handle).decode() if result else ""
        print(f"{name:10} {result} {text}".rstrip())
        if result:
            raise OSError(-result, text)

    def map(self, device, iova, address, size, protection=READ_WRITE):
        wide = [ctypes.c_uint64(value) for value in (iova, address, size)]
        self.call("map", ctypes.c_uint16(device), *wide, ctypes.c_int(protection))

    def unmap(self, device, iova, size):
        self.call("unmap", ctypes.c_uint16(device), ctypes.c_uint64(iova), ctypes.c_uint64(size))

    def dma_read(self, device, iova, size):
        buffer = ctypes.create_string_buffer(size)
        self.call("dma_read", ctypes.c_uint16(device), ctypes.c_uint64(iova), buffer, ctypes.c_size_t(size))
        return buffer.raw

    def dma_write(self, device, iova, data):
        self.call("dma_write", ctypes.c_uint16(device), ctypes.c_uint64(iova), data, ctypes.c_size_t(len(data)))

    def memory(self, address, size):
        """A view of the machine's memory, not a copy."""
        place = self.library.domstore_memory(self.handle, ctypes.c_uint64(address), ctypes.c_uint64(size))
        return memoryview((ctypes.c_char * size).from_address(place)).cast("B")


def fails(number, action, *arguments):
    """True when the action is answered with that errno."""
    try:
        action(*arguments)
    except OSError as error:
        return error.errno == number
    return False


def main(library, store):
    with Machine(library, AMD_VI, 16 << 20) as machine:
        machine.call("add_device", ctypes.c_uint16(DISK))
        machine.call("attach", ctypes.c_uint16(DISK), ctypes.c_uint16(DISK))
        machine.map(DISK, 0x1000, 0x400000, 0x3000)
        machine.map(DISK, 0x8000, 0x800000, 0x1000, READ)
        memory = machine.memory(0x400000, 0x3000)

        block = bytes(range(256)) * 20
        machine.dma_write(DISK, 0x1800, block)  # over the end of a page
        assert bytes(memory[0x800:0x800 + len(block)]) == block
        assert machine.dma_read(DISK, 0x8000, 4) == b"\0\0\0\0"
        assert fails(errno.EFAULT, machine.dma_write, DISK, 0x8000, b"read only")
        machine.unmap(DISK, 0x8000, 0x1000)
        assert fails(errno.EFAULT, machine.dma_read, DISK, 0x8000, 4)

        path = ctypes.c_char_p(store.encode())
        machine.call("freeze")
        assert fails(errno.EBUSY, machine.unmap, DISK, 0x1000, 0x3000)
        machine.call("seal", path)
        machine.call("jump")
        memory[0:8] = b"to disk!"
        assert machine.dma_read(DISK, 0x1000, 8) == b"to disk!"  # no kernel
        quarantined = ctypes.c_int(-1)
        machine.call("restore", path, ctypes.byref(quarantined))
        assert quarantined.value == 0
        machine.dma_write(DISK, 0x1000, b"old page tables")
        assert bytes(memory[0:15]) == b"old page tables"
        machine.call("finish")
        machine.dma_write(DISK, 0x1000, b"new page tables")
        assert bytes(memory[0:15]) == b"new page tables"
        assert machine.dma_read(DISK, 0x1800, len(block)) == block
        machine.map(DISK, 0x8000, 0x800000, 0x1000)  # the new kernel maps as before
        machine.dma_write(DISK, 0x8000, b"more")


if __name__ == "__main__":
    main(*sys.argv[1:])
