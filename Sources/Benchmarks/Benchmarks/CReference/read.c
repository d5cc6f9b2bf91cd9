#include "CReference.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t ref_sum(const uint64_t *words, size_t count) {
    uint64_t sum = 0;
    for (size_t index = 0; index < count; index++) sum += words[index];
    return sum;
}

uint64_t ref_read_pages(const char *path, const uint64_t *offsets, size_t count, int *error) {
    uint64_t sum = 0;
    struct stat status;
    *error = 0;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &status) != 0) {
        *error = errno;
        if (file >= 0) close(file);
        return 0;
    }
    uint8_t *bytes = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_NORESERVE, file, 0);
    if (bytes == MAP_FAILED) *error = errno;
    for (size_t index = 0; index < count && *error == 0; index++) {
        if (offsets[index] + 4096 > (uint64_t)status.st_size) *error = EINVAL;
        else sum += ref_sum((const uint64_t *)(const void *)(bytes + offsets[index]), 512);
    }
    if (bytes != MAP_FAILED) munmap(bytes, (size_t)status.st_size);
    close(file);
    return sum;
}
