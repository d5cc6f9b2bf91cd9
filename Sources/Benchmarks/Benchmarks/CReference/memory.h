// Access to table frames.
#ifndef CREFERENCE_MEMORY_H
#define CREFERENCE_MEMORY_H

#include "CReference.h"

#define NOINLINE __attribute__((noinline))

uint64_t *ref_search(const struct ref_memory *memory, uint64_t page);

// True when the frame at `page` is in the largest segment; its words are then ref_primary_words(memory, page).
static inline bool ref_is_primary(const struct ref_memory *memory, uint64_t page) {
    return page - memory->base < memory->page_limit;
}

static inline uint64_t *ref_primary_words(const struct ref_memory *memory, uint64_t page) {
    return (uint64_t *)(void *)(memory->pointer + (page - memory->base));
}

// The 512 words of the frame at `page`, or NULL when it is not wholly present.
static inline uint64_t *ref_words(const struct ref_memory *memory, uint64_t page) {
    return ref_is_primary(memory, page) ? ref_primary_words(memory, page) : ref_search(memory, page);
}

static inline int ref_index(uint64_t iova, int level) { return (int)(iova >> (12 + 9 * level) & 511); }

#endif
