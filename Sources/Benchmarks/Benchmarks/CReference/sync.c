#define _GNU_SOURCE
#include "CReference.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static _Atomic uint64_t sync_count;

// In place of the C library's, so that calls are counted wherever they come from.
int fsync(int file) {
    atomic_fetch_add(&sync_count, 1);
    return (int)syscall(SYS_fsync, file);
}

int fdatasync(int file) {
    atomic_fetch_add(&sync_count, 1);
    return (int)syscall(SYS_fdatasync, file);
}

uint64_t ref_sync_count(void) { return atomic_load(&sync_count); }

int ref_bare_write(int file, const uint8_t *bytes, size_t byte_count) {
    while (byte_count > 0) {
        ssize_t written = write(file, bytes, byte_count);
        if (written < 0) return errno;
        bytes += written;
        byte_count -= (size_t)written;
    }
    return fdatasync(file) != 0 ? errno : 0;
}
