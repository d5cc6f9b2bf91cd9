#include "memory.h"

struct ref_memory ref_make_memory(const struct ref_segment *segments, size_t count) {
    size_t primary = 0;
    for (size_t index = 1; index < count; index++)
        if (segments[index].byte_count > segments[primary].byte_count) primary = index;
    uint64_t bytes = segments[primary].byte_count;
    return (struct ref_memory){
        .base = segments[primary].base,
        .page_limit = bytes >= 4096 ? bytes - 4095 : 0,
        .pointer = segments[primary].pointer,
        .segments = segments,
        .count = count,
    };
}

NOINLINE uint64_t *ref_search(const struct ref_memory *memory, uint64_t page) {
    size_t low = 0, high = memory->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (memory->segments[middle].base <= page) low = middle + 1;
        else high = middle;
    }
    if (low == 0) return NULL;
    const struct ref_segment *segment = &memory->segments[low - 1];
    uint64_t offset = page - segment->base;
    if (offset >= segment->byte_count || segment->byte_count - offset < 4096) return NULL;
    return (uint64_t *)(void *)(segment->pointer + offset);
}
